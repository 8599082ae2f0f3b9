package supervisor

// Limits bound what a command and its descendants may use, by a cgroup of their own. Zero = no limit.
type Limits struct {
	Memory Size    `json:"memory,omitempty"` // beyond it the kernel kills all of them
	CPUs   float64 `json:"cpus,omitempty"`   // 0.5 = half the time of one processor
	PIDs   int     `json:"pids,omitempty"`   // processes and threads; beyond it none can be started
}

// The bounds of Limits.
const (
	minMemory = Size(1 << 20)
	minCPUs   = 0.01
	maxCPUs   = 4096
	maxPIDs   = 4 << 20
)

// limits reads the field of that name.
func (o *object) limits() *Limits {
	o.taken = append(o.taken, "limits")
	raw := o.fields["limits"]
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	in, ok := o.v.object(o.at+".limits", raw, `limits is an object, like {"memory": "256MiB", "cpus": 0.5, "pids": 100}`)
	if !ok {
		return nil
	}
	l := &Limits{}
	in.take("memory", `a size; write one like "256MiB"`, &l.Memory)
	in.take("cpus", "a number, like 0.5", &l.CPUs)
	in.take("pids", "a whole number", &l.PIDs)
	in.rest("limits")
	if in.has("memory") && !in.bad["memory"] && l.Memory < minMemory {
		in.wrong("memory", "%s is less than %s", l.Memory, minMemory)
	}
	if in.has("cpus") && !in.bad["cpus"] && (l.CPUs < minCPUs || l.CPUs > maxCPUs) {
		in.wrong("cpus", "%v is not between %v and %d", l.CPUs, minCPUs, maxCPUs)
	}
	if in.has("pids") && !in.bad["pids"] && (l.PIDs < 1 || l.PIDs > maxPIDs) {
		in.wrong("pids", "%d is not between 1 and %d", l.PIDs, maxPIDs)
	}
	return l
}
