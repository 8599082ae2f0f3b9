package supervisor

import "testing"

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{"0B": 0, "64MiB": 64 << 20, "1 GiB": 1 << 30, "2KB": 2000, "3TiB": 3 << 40} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s: %d, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "MiB", "1.5MiB", "-1B", "64", "64mb", "99999999999TiB"} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for %d bytes", text, s)
		}
	}
}
