package proc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Process is one process as /proc shows it.
type Process struct {
	PID, PPID int
	State     byte   // R, S, D, T (stopped), Z (zombie), …
	Comm      string // at most 15 bytes
	Exe       string // empty for a zombie or a kernel thread
}

func (p Process) String() string {
	return fmt.Sprintf("%d (%s, %s, state %c, parent %d)", p.PID, p.Comm, p.Exe, p.State, p.PPID)
}

// Gone reports whether p has ended: a zombie runs nothing any more.
func (p Process) Gone() bool { return p.State == 'Z' || p.State == 'X' }

// Get reads one process.
func Get(pid int) (p Process, ok bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return p, false
	}
	open, shut := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || shut < open {
		return p, false
	}
	f := strings.Fields(string(stat[shut+1:]))
	if len(f) < 2 {
		return p, false
	}
	p = Process{PID: pid, State: f[0][0], Comm: string(stat[open+1 : shut])}
	p.PPID, err = strconv.Atoi(f[1])
	p.Exe, _ = os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	p.Exe = strings.TrimSuffix(p.Exe, " (deleted)")
	return p, err == nil
}

// All lists every process.
func All() ([]Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var all []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, ok := Get(pid); ok {
			all = append(all, p)
		}
	}
	return all, nil
}

// Children lists the children of a process.
func Children(pid int) ([]Process, error) {
	all, err := All()
	var out []Process
	for _, p := range all {
		if p.PPID == pid {
			out = append(out, p)
		}
	}
	return out, err
}

// Descendants lists all processes below a process.
func Descendants(pid int) ([]Process, error) {
	all, err := All()
	below := map[int]bool{pid: true}
	var out []Process
	for grown := true; grown; {
		grown = false
		for _, p := range all {
			if below[p.PPID] && !below[p.PID] {
				below[p.PID], grown = true, true
				out = append(out, p)
			}
		}
	}
	return out, err
}

// Of lists the processes that run a program from dir, or that have dir in their environment or arguments; not this one.
func Of(dir string) ([]Process, error) {
	all, err := All()
	var out []Process
	for _, p := range all {
		if p.PID != os.Getpid() && !p.Gone() && (strings.HasPrefix(p.Exe, dir+string(filepath.Separator)) || mentions(p.PID, dir)) {
			out = append(out, p)
		}
	}
	return out, err
}

func mentions(pid int, text string) bool {
	for _, file := range []string{"environ", "cmdline"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		if err == nil && bytes.Contains(b, []byte(text)) {
			return true
		}
	}
	return false
}
