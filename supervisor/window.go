package supervisor

// InWindow is the part of stamps, which ascend, that lies within the window that ends now (S15). The window is closed on
// both sides: a restart exactly Within ago still counts, as in OTP.
func (in Intensity) InWindow(stamps []int64, now int64) []int64 {
	for len(stamps) > 0 && now-stamps[0] > int64(in.Within) {
		stamps = stamps[1:]
	}
	return stamps
}

// Count decides whether one more restart is allowed now (S15). It answers the stamps to keep, this one among them when it
// is allowed; ok is false when the supervisor is to stop instead. It does not change stamps' elements.
func (in Intensity) Count(stamps []int64, now int64) (kept []int64, ok bool) {
	kept = in.InWindow(stamps, now)
	if len(kept) >= in.MaxRestarts {
		return kept, false
	}
	return append(kept[:len(kept):len(kept)], now), true
}
