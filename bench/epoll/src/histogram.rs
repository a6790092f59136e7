//! How long answers took.

/// 64 steps for each power of two: a value is known to 1.6 percent.
const STEPS: usize = 64;

pub(crate) struct Histogram {
    counts: Vec<u64>,
    pub(crate) total: u64,
}

impl Histogram {
    pub(crate) fn new() -> Histogram {
        Histogram { counts: vec![0; STEPS * 64], total: 0 }
    }

    pub(crate) fn add(&mut self, ns: u64) {
        // The highest seven bits say where; small values have a step each.
        let shift = (u64::BITS - (ns | STEPS as u64).leading_zeros() - 7) as usize;
        self.counts[shift * STEPS + (ns >> shift) as usize] += 1;
        self.total += 1;
    }

    /// What the share `share` did not exceed, in ns.
    pub(crate) fn at(&self, share: f64) -> f64 {
        let rank = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        let step = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank && *count > 0
        });
        let step = step.unwrap_or(0);
        let shift = (step / STEPS).saturating_sub(1);
        ((step - shift * STEPS) << shift) as f64
    }
}
