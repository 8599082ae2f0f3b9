package guardian

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// drainFor bounds how long the rest of an ended command's output is waited for. Its processes are dead: only one that it
// gave its output to, outside its descent, could keep it open.
const drainFor = time.Second

// An output is the pipe from a command's stdout and stderr to its log.
type output struct {
	read  *os.File
	write int // the command's end, -1 once it is handed over; blocking, as commands expect
	log   outputLog
}

// outputLog is where output goes. Write does not fail, and takes its time only for so long; nothing is written after release.
type outputLog interface {
	io.Writer
	release()
}

func newOutput(log outputLog) (*output, error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		log.release()
		return nil, os.NewSyscallError("pipe2", err)
	}
	if err := unix.SetNonblock(ends[0], true); err != nil {
		unix.Close(ends[0])
		unix.Close(ends[1])
		log.release()
		return nil, os.NewSyscallError("fcntl", err)
	}
	return &output{read: os.NewFile(uintptr(ends[0]), "output"), write: ends[1], log: log}, nil
}

// handedOver closes this process's copy of the command's end.
func (o *output) handedOver() {
	if o.write >= 0 {
		unix.Close(o.write)
		o.write = -1
	}
}

// discard undoes newOutput for a command that never started.
func (o *output) discard() {
	o.handedOver()
	o.read.Close()
	o.log.release()
}

// finish makes pump return soon.
func (o *output) finish() { _ = o.read.SetReadDeadline(time.Now().Add(drainFor)) }

var pumpBuffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// pump copies the output to the log until the command's end is closed everywhere. It holds a buffer only while there is
// something to copy.
func (o *output) pump() {
	defer o.log.release()
	defer o.read.Close()
	raw, err := o.read.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(func(fd uintptr) (done bool) {
		buffer := pumpBuffers.Get().(*[]byte)
		defer pumpBuffers.Put(buffer)
		for {
			n, err := unix.Read(int(fd), *buffer)
			switch {
			case errors.Is(err, unix.EINTR):
			case errors.Is(err, unix.EAGAIN):
				return false
			case err != nil || n == 0:
				return true
			default:
				_, _ = o.log.Write((*buffer)[:n])
			}
		}
	})
}
