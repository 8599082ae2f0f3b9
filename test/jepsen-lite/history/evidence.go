package history

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"
)

// Write is one write that reached the fenced register.
type Write struct {
	At          Instant `json:"at"` // when it was decided
	Key         Key     `json:"key"`
	Node        string  `json:"node"`
	Incarnation uint64  `json:"incarnation"`
	Accepted    bool    `json:"accepted"`
	Late        bool    `json:"late,omitempty"` // it was held on its way
}

// Running is a child as the cluster's own linearizable list shows it.
type Running struct {
	Key
	Status      string `json:"status"`
	Node        string `json:"node"`
	Incarnation uint64 `json:"incarnation"`
}

// Round is one fault from before it to after it.
type Round struct {
	Fault        string        `json:"fault"`
	FastFailover string        `json:"fast_failover"`
	Seed         uint64        `json:"seed"`
	Victims      []string      `json:"victims"`       // nodes, in the order they were hit
	Failed       []string      `json:"failed"`        // those whose loss the cluster must have declared, once each
	Pause        bool          `json:"pause"`         // a pause: the register must have refused something
	Takeover     bool          `json:"takeover"`      // a quorum was left: the wanted set must have run without the victims
	Affected     []Key         `json:"affected"`      // children that ran on the victims
	Inject       Instant       `json:"inject"`        //
	Taken        Instant       `json:"taken"`         // the wanted set ran without the victims; 0 = was not waited for
	Heal         Instant       `json:"heal"`          // the last repair was done
	Converged    Instant       `json:"converged"`     // the wanted set ran; 0 = never
	Quiet        Interval      `json:"quiet"`         // then it was watched that nothing starts
	Wanted       []Key         `json:"wanted"`        // the set that must run in Quiet
	Dump         []Running     `json:"dump"`          // the cluster's own word at the end of Quiet
	Down         []string      `json:"down"`          // nodes that do not serve at the end of Quiet
	FirstEvent   uint64        `json:"first_event"`   // newest event id before the fault
	LastEvent    uint64        `json:"last_event"`    // and at the end of Quiet
	Stalled      time.Duration `json:"stalled"`       // the longest time that this machine gave the harness no processor
	Waited       float64       `json:"waited"`        // the share of the round in which some process was kept waiting for a processor
	Trouble      string        `json:"trouble"`       // why the round broke off, if it did
	TakeoverTime time.Duration `json:"takeover_time"` // Taken - Inject
	RecoveryTime time.Duration `json:"recovery_time"` // Converged - Heal
}

// Limit is the restart intensity of a supervisor whose windows are to be checked.
type Limit struct {
	Max    int           `json:"max"`
	Within time.Duration `json:"within"`
}

// Sync is one moment on both clocks, to compare the cluster's wall times with the children's instants.
type Sync struct {
	Mono Instant   `json:"mono"`
	Wall time.Time `json:"wall"`
}

// History is everything that was seen of one cluster.
type History struct {
	Timing  Timing           `json:"timing"`
	Seed    uint64           `json:"seed"`
	Rerun   string           `json:"rerun"` // the line that runs it again
	Nodes   []string         `json:"nodes"`
	Lives   []Life           `json:"lives"`
	Ops     []Op             `json:"ops"`
	Calls   []Call           `json:"calls,omitempty"`
	Actions []Action         `json:"actions"`
	Streams []Stream         `json:"streams"`
	Writes  []Write          `json:"writes"`
	Rounds  []Round          `json:"rounds"`
	Limits  map[string]Limit `json:"limits,omitempty"`  // by supervisor
	Clocks  []Sync           `json:"clocks"`            // at the beginning and at the end
	Around  []string         `json:"around,omitempty"`  // connections that went around the link proxies
	Trouble []string         `json:"trouble,omitempty"` // panics in logs and the like
}

// File is the name of a kept history in its directory.
const File = "history.json"

// Save keeps h in dir.
func (h *History) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, File), b, 0o644)
}

// Load reads a kept history: its file, or the directory it is in.
func Load(path string) (*History, error) {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		path = filepath.Join(path, File)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	h := new(History)
	return h, json.Unmarshal(b, h)
}
