//! The Date header.

use rustix::time::{ClockId, clock_gettime};

/// The field of a second, made once for it.
pub(crate) struct Date {
    second: u64,
    line: [u8; 37],
}

impl Default for Date {
    fn default() -> Date {
        Date { second: 0, line: *b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n" }
    }
}

impl Date {
    /// Now, as in `date: Sun, 06 Nov 1994 08:49:37 GMT`, with the end of the line.
    pub(crate) fn now(&mut self) -> &[u8; 37] {
        // A tick late at most, and several times as fast as the exact time.
        let now = clock_gettime(ClockId::RealtimeCoarse);
        let second = u64::try_from(now.tv_sec).unwrap_or_default();
        if second != self.second {
            self.second = second;
            self.line[6..35].copy_from_slice(&text(second));
        }
        &self.line
    }
}

/// Years with more than four digits are not for HTTP.
fn text(second: u64) -> [u8; 29] {
    const DAYS: &[u8; 21] = b"ThuFriSatSunMonTueWed";
    const MONTHS: &[u8; 36] = b"MarAprMayJunJulAugSepOctNovDecJanFeb";
    let (days, of_day) = (second / 86_400, second % 86_400);

    // Years begin in March, so that a leap day is the last one; 400 of them have 146,097 days.
    let since = days + 719_468;
    let (era, of_era) = (since / 146_097, since % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era + u64::from(month >= 10);

    let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    let weekday = (days % 7) as usize * 3;
    let month = month as usize * 3;
    text[..3].copy_from_slice(&DAYS[weekday..weekday + 3]);
    text[8..11].copy_from_slice(&MONTHS[month..month + 3]);
    let two = |n: u64| [b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8];
    let parts = [
        (5, day),
        (12, year / 100),
        (14, year),
        (17, of_day / 3_600),
        (20, of_day / 60 % 60),
        (23, of_day % 60),
    ];
    for (at, n) in parts {
        text[at..at + 2].copy_from_slice(&two(n));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (second, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(std::str::from_utf8(&text(second)), Ok(expected));
        }
    }
}
