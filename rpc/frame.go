package rpc

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// MaxFrame bounds one frame of a sync stream or a call, in bytes.
	MaxFrame = 64 << 20
	// maxGreeting bounds the frames of the handshake.
	maxGreeting = 4 << 10
	// frameHeader is the length of a frame's length.
	frameHeader = 4
	// writeChunk is how much must be written within one WriteTimeout; a slow link makes a large frame slow, not broken.
	writeChunk = 256 << 10
	// keepBuffer is the largest read buffer that a connection keeps between frames.
	keepBuffer = 1 << 20
)

// encodeFrame is v as a frame: four bytes of length, big-endian, then CBOR.
func encodeFrame(v any, limit int) ([]byte, error) {
	var b bytes.Buffer
	b.Write(make([]byte, frameHeader))
	if err := encoding.NewEncoder(&b).Encode(v); err != nil {
		return nil, fmt.Errorf("encode a frame: %w", err)
	}
	n := b.Len() - frameHeader
	if n > limit {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrFrameTooLarge, n, limit)
	}
	binary.BigEndian.PutUint32(b.Bytes(), uint32(n))
	return b.Bytes(), nil
}

// readFrame reads a frame's payload into buf. Memory grows as bytes arrive, not as the length promises.
func readFrame(r io.Reader, buf *bytes.Buffer, limit int) ([]byte, error) {
	var h [frameHeader]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return nil, err
	}
	n := int64(binary.BigEndian.Uint32(h[:]))
	if n > int64(limit) {
		return nil, fmt.Errorf("%w: %d bytes announced, at most %d", ErrFrameTooLarge, n, limit)
	}
	buf.Reset()
	if buf.Cap() > keepBuffer {
		*buf = bytes.Buffer{}
	}
	if _, err := io.CopyN(buf, r, n); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return buf.Bytes(), nil
}

// framed is a connection of frames. One goroutine reads, any may write.
type framed struct {
	conn    *conn
	r       *bufio.Reader
	buf     bytes.Buffer  // of the reader
	writing chan struct{} // holds a token while a frame is being written: a lock that may be held across a write
	timeout time.Duration // for each writeChunk
	limit   int           // of a frame

	closeOnce sync.Once
	closed    chan struct{}
}

func newFramed(c *conn) *framed {
	return &framed{conn: c, r: bufio.NewReader(c), writing: make(chan struct{}, 1), timeout: c.port.cfg.WriteTimeout,
		limit: c.port.maxFrame, closed: make(chan struct{})}
}

// read decodes the next frame into v.
func (f *framed) read(v any) error {
	select {
	case <-f.closed:
		return ErrClosed
	default:
	}
	b, err := readFrame(f.r, &f.buf, f.limit)
	if err != nil {
		return f.because(err)
	}
	if err := decoding.Unmarshal(b, v); err != nil {
		return fmt.Errorf("a frame that cannot be read: %w", err)
	}
	return nil
}

// write sends an encoded frame. After an error the connection is closed: half a frame may be out.
func (f *framed) write(frame []byte, cancelled <-chan struct{}) (begun bool, err error) {
	select {
	case f.writing <- struct{}{}:
	case <-f.closed:
		return false, ErrClosed
	case <-cancelled:
		return false, errCancelled
	}
	return f.writeHeld(frame)
}

// writeHeld writes with the token held, and gives it back.
func (f *framed) writeHeld(frame []byte) (begun bool, err error) {
	defer func() { <-f.writing }()
	select {
	case <-f.closed:
		return false, ErrClosed
	default:
	}
	for len(frame) > 0 {
		n := min(len(frame), writeChunk)
		if err = f.conn.SetWriteDeadline(time.Now().Add(f.timeout)); err == nil {
			_, err = f.conn.Write(frame[:n])
		}
		if err != nil {
			if err = f.because(err); errors.Is(err, os.ErrDeadlineExceeded) {
				err = fmt.Errorf("the peer took nothing for %v: %w", f.timeout, err)
			}
			f.close()
			return true, err
		}
		frame = frame[n:]
	}
	return true, nil
}

// because prefers the cause to its symptom: reads and writes on a connection closed here fail with ErrClosed.
func (f *framed) because(err error) error {
	select {
	case <-f.closed:
		return ErrClosed
	default:
		return err
	}
}

func (f *framed) close() {
	f.closeOnce.Do(func() {
		close(f.closed)
		f.conn.Close()
	})
}
