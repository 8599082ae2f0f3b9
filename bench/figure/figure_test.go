package figure

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func upTo(n int) (ds []time.Duration) {
	for i := range n {
		ds = append(ds, time.Duration(i+1)*time.Millisecond)
	}
	return ds
}

func TestPercentileIsAMeasuredValue(t *testing.T) {
	for _, c := range []struct {
		n    int
		p    float64
		want time.Duration
	}{{1, 50, 1}, {1, 99, 1}, {2, 50, 1}, {3, 50, 2}, {5, 50, 3}, {5, 99, 5}, {100, 50, 50}, {100, 99, 99}, {101, 99, 100}, {1000, 99, 990}, {10, 0, 1}, {10, 100, 10}} {
		if got := Percentile(upTo(c.n), c.p); got != c.want*time.Millisecond {
			t.Errorf("p%g of 1..%d is %v, want %d ms", c.p, c.n, got, c.want)
		}
	}
}

func TestSpreadDoesNotDependOnTheOrder(t *testing.T) {
	ds := upTo(200)
	slices.Reverse(ds)
	if diff := cmp.Diff(&Spread{N: 200, P50: 100, P99: 198, Max: 200}, Of(ds)); diff != "" {
		t.Error(diff)
	}
	if Of(nil) != nil {
		t.Error("nothing measured has a spread")
	}
}

func TestNothingIsComparedToWhatWasNotMeasured(t *testing.T) {
	if r := Over(3, 0, "a commit"); r != nil {
		t.Error(r)
	}
	if diff := cmp.Diff([]Ratio{{1.5, "a commit"}}, Over(3, 2, "a commit")); diff != "" {
		t.Error(diff)
	}
}

func TestTable(t *testing.T) {
	r := Report{Machine: Machine{Cores: 2, CPU: "some", Kernel: "6", Go: "go1", Filesystem: "ext4", LoadBefore: "0 0 0", LoadAfter: "1 0 0", Seconds: 9}}
	r.Add(Figure{What: "few", Lease: "1s/3s", Spread: Of(upTo(5)), Beside: Over(3, 2, "a commit"), Note: "goal ≤ 2"})
	r.Add(Figure{What: "many", Spread: Of(upTo(100)), PerSecond: 1234.5})
	var b bytes.Buffer
	if err := r.Table(&b); err != nil {
		t.Fatal(err)
	}
	want := `2 cores (some), Linux 6, go1, loopback, logs on ext4; load before 0 0 0, after 1 0 0; the run took 9 s

| figure | lease |   n | p50 ms | p99 ms | max ms | per second | beside it                 |
|--------|-------|----:|-------:|-------:|-------:|-----------:|---------------------------|
| few    | 1s/3s |   5 |   3.00 |        |   5.00 |            | 1.50 × a commit; goal ≤ 2 |
| many   |       | 100 |   50.0 |   99.0 |    100 |       1234 |                           |
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
	b.Reset()
	if err := r.JSON(&b); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, back); diff != "" {
		t.Error(diff)
	}
}

func TestThisMachineIsDescribed(t *testing.T) {
	m := ThisMachine(t.TempDir())
	if m.Cores < 1 || m.CPU == "" || m.Kernel == "" || m.Kernel == "?" || m.Filesystem == "?" || len(strings.Fields(m.LoadBefore)) != 3 {
		t.Errorf("%+v", m)
	}
}
