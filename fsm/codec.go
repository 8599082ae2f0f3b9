package fsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/fxamacker/cbor/v2"
)

// The envelope of a log entry: a magic byte, the version of the format, the CRC-32C of what follows and of the version, and
// the entry in core-deterministic CBOR.
const (
	entryMagic   = 0xE5
	entryVersion = 1
	entryHeader  = 6
)

var (
	// ErrCorrupt says that bytes of the log or of a snapshot are not those that were written. The node must stop.
	ErrCorrupt = errors.New("corrupt")
	// ErrUnknownVersion says that an entry or a snapshot was written by another version of supnode. The node must stop.
	ErrUnknownVersion = errors.New("unknown version")
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	encMode    = mustEnc()
	decMode    = mustDec()
)

func mustEnc() cbor.UserBufferEncMode {
	o := cbor.CoreDetEncOptions()
	o.Time = cbor.TimeRFC3339Nano
	m, err := o.UserBufferEncMode()
	if err != nil {
		panic(err)
	}
	return m
}

// mustDec is strict: what this version does not know is an error, never skipped.
func mustDec() cbor.DecMode {
	m, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxArrayElements:  1 << 24,
		MaxNestedLevels:   maxNested,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return m
}

// Encode puts an entry into its envelope, for the log.
func Encode(e Entry) ([]byte, error) {
	payload, err := encMode.Marshal(&e)
	if err != nil {
		return nil, fmt.Errorf("encode a log entry: %w", err)
	}
	b := make([]byte, entryHeader, entryHeader+len(payload))
	b[0], b[1] = entryMagic, entryVersion
	b = append(b, payload...)
	binary.BigEndian.PutUint32(b[2:], envelopeSum(b))
	return b, nil
}

// Verify checks the envelope of an entry, and not what is in it. The error is ErrCorrupt.
func Verify(b []byte) error {
	if len(b) < entryHeader || b[0] != entryMagic {
		return fmt.Errorf("log entry of %d bytes has no envelope: %w", len(b), ErrCorrupt)
	}
	if got, want := envelopeSum(b), binary.BigEndian.Uint32(b[2:]); got != want {
		return fmt.Errorf("log entry has checksum %08x instead of %08x: %w", got, want, ErrCorrupt)
	}
	return nil
}

// Decode takes an entry out of its envelope. The error is ErrCorrupt or ErrUnknownVersion.
func Decode(b []byte) (Entry, error) {
	var e Entry
	if err := Verify(b); err != nil {
		return e, err
	}
	if b[1] != entryVersion {
		return e, fmt.Errorf("log entry has format %d, this supnode knows %d: %w", b[1], entryVersion, ErrUnknownVersion)
	}
	if err := decMode.Unmarshal(b[entryHeader:], &e); err != nil {
		return e, fmt.Errorf("log entry holds what this supnode does not know: %w (%w)", ErrUnknownVersion, err)
	}
	return e, nil
}

func envelopeSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[1:2], castagnoli), castagnoli, b[entryHeader:])
}
