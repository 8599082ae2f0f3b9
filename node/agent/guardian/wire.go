package guardian

import (
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
	sup "github.com/supnode/supnode/supervisor"
	"golang.org/x/sys/unix"
)

const (
	// maxMessage bounds one message on the control socket; what is larger travels in a memory file beside it.
	maxMessage = 64 << 10
	// maxOrder bounds an order in a memory file. The kernel's own limit on arguments and environment is lower.
	maxOrder = 8 << 20
	// maxFDs is how many descriptors one message may carry: output, cgroup, memory file.
	maxFDs = 3
)

// An order is what supnode tells the guardian. One message carries one order; any of its fields may be set together.
type order struct {
	Session *sup.Session `cbor:"1,keyasint,omitempty"` // spawns are for this one from now on
	Spawn   *spawn       `cbor:"2,keyasint,omitempty"` // its output pipe comes with the message
	Signal  *signalling  `cbor:"3,keyasint,omitempty"`
	Acks    []uint64     `cbor:"4,keyasint,omitempty"` // exits that need not be repeated
	// Elsewhere is the length of the true order, which is in the message's last descriptor.
	Elsewhere int64 `cbor:"5,keyasint,omitempty"`
	Look      bool  `cbor:"6,keyasint,omitempty"` // it is to answer with Turns
}

// A spawn asks for a command. ID is the runner's number for it, used once in a guardian's life.
type spawn struct {
	ID      uint64      `cbor:"1,keyasint"`
	Session sup.Session `cbor:"2,keyasint"`
	Path    string      `cbor:"3,keyasint"`
	Args    []string    `cbor:"4,keyasint"`
	Env     []string    `cbor:"5,keyasint"`
	Dir     string      `cbor:"6,keyasint"`
	// Of is the running command that this one is a probe of; it lives no longer, and its end comes first. 0 = it is none.
	Of uint64 `cbor:"7,keyasint,omitempty"`
	// InCgroup says that a second descriptor comes with the message: the directory of the cgroup to start it in.
	InCgroup bool `cbor:"8,keyasint,omitempty"`
}

// signalling asks for a signal to a command's process group.
type signalling struct {
	ID     uint64 `cbor:"1,keyasint"`
	Signal int    `cbor:"2,keyasint"`
}

// A report is what the guardian tells supnode.
type report struct {
	Ready   bool         `cbor:"1,keyasint,omitempty"` // it is set up
	Failed  string       `cbor:"2,keyasint,omitempty"` // it can't be set up; it exits
	Started *started     `cbor:"3,keyasint,omitempty"`
	Exit    *exit        `cbor:"4,keyasint,omitempty"` // repeated until acknowledged
	Lapsed  *sup.Session `cbor:"5,keyasint,omitempty"` // the timer fired in this session
	Turns   bool         `cbor:"6,keyasint,omitempty"` // it takes orders: the answer to Look
}

// started answers a spawn.
type started struct {
	ID      uint64 `cbor:"1,keyasint"`
	PID     int    `cbor:"2,keyasint,omitempty"`
	Errno   int    `cbor:"3,keyasint,omitempty"` // why it could not be started
	Refused bool   `cbor:"4,keyasint,omitempty"` // the lease was over, or is another session's
}

// exit says that a command and all its descendants are gone.
type exit struct {
	ID     uint64 `cbor:"1,keyasint"`
	Status uint32 `cbor:"2,keyasint"` // as wait4 gives it
}

var (
	encoder = func() cbor.EncMode {
		m, err := cbor.CoreDetEncOptions().EncMode()
		if err != nil {
			panic(err)
		}
		return m
	}()
	decoder = func() cbor.DecMode {
		m, err := cbor.DecOptions{
			DupMapKey:         cbor.DupMapKeyEnforcedAPF,
			ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
			MaxArrayElements:  1 << 20,
			UTF8:              cbor.UTF8DecodeInvalid, // the kernel's words are bytes
		}.DecMode()
		if err != nil {
			panic(err)
		}
		return m
	}()
)

// encodeOrder encodes o. An order that is too large for a message is put in a memory file, whose descriptor the caller
// sends last and closes; without one it is -1.
func encodeOrder(o order) (message []byte, memory int, err error) {
	message, err = encoder.Marshal(o)
	if err != nil || len(message) <= maxMessage {
		return message, -1, err
	}
	if len(message) > maxOrder {
		return nil, -1, fmt.Errorf("arguments and environment are %d bytes, more than %d", len(message), maxOrder)
	}
	memory, err = unix.MemfdCreate("order", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, -1, fmt.Errorf("memory file for a long command line: %w", err)
	}
	for written := 0; written < len(message); {
		n, err := unix.Write(memory, message[written:])
		if err != nil {
			unix.Close(memory)
			return nil, -1, fmt.Errorf("memory file for a long command line: %w", err)
		}
		written += n
	}
	message, err = encoder.Marshal(order{Elsewhere: int64(len(message))})
	return message, memory, err
}

// decodeOrder decodes a message and its descriptors. It closes the memory file, if there is one, and gives back the rest.
func decodeOrder(message []byte, fds []int) (order, []int, error) {
	var o order
	if err := decoder.Unmarshal(message, &o); err != nil {
		return order{}, fds, err
	}
	if o.Elsewhere == 0 {
		return o, fds, nil
	}
	if len(fds) == 0 || o.Elsewhere < 0 || o.Elsewhere > maxOrder {
		return order{}, fds, errors.New("an order elsewhere without its memory file")
	}
	memory := fds[len(fds)-1]
	fds = fds[:len(fds)-1]
	defer unix.Close(memory)
	message = make([]byte, o.Elsewhere)
	for read := 0; read < len(message); {
		n, err := unix.Pread(memory, message[read:], int64(read))
		if err != nil {
			return order{}, fds, err
		}
		if n == 0 {
			return order{}, fds, errors.New("an order in a memory file is cut short")
		}
		read += n
	}
	o = order{}
	err := decoder.Unmarshal(message, &o)
	return o, fds, err
}
