package actor

import "unsafe"

// What an actor at rest is made of, for the benchmark.
const (
	CellBytes = unsafe.Sizeof(cell{})
	SlotBytes = unsafe.Sizeof(slot{})
)
