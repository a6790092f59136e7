-- What wrk found, as one line of JSON; its own report comes before it.
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"wall_ms":%.1f,"request_p50_us":%d,"request_p99_us":%d,"errors":%d}\n',
    summary.requests, summary.duration / 1e3, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
