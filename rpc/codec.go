package rpc

import "github.com/fxamacker/cbor/v2"

// The wire is strict CBOR in its deterministic form: unknown fields and duplicate keys are errors; times keep their
// nanoseconds. A type without cbor tags is encoded under its json names; a field tagged json:"-" needs a cbor tag to travel.
var (
	encoding = func() cbor.EncMode {
		o := cbor.CoreDetEncOptions()
		o.Time = cbor.TimeRFC3339Nano
		m, err := o.EncMode()
		if err != nil {
			panic("rpc: encoding options: " + err.Error())
		}
		return m
	}()
	decodingOptions = cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		MaxArrayElements:  maxElements,
		MaxNestedLevels:   maxNested,
		MaxMapPairs:       maxElements,
	}
	decoding = decMode(decodingOptions)
	// lenient reads the handshake, where a later version may say more than this one knows.
	lenient = decMode(cbor.DecOptions{IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden})
)

// maxElements bounds the arrays and maps of a frame; the frame's size bounds them further.
const maxElements = 1 << 24

// maxNested is the levels of a frame; manifests of supervision trees are the deepest.
const maxNested = 128

func decMode(o cbor.DecOptions) cbor.DecMode {
	m, err := o.DecMode()
	if err != nil {
		panic("rpc: decoding options: " + err.Error())
	}
	return m
}

// Encode makes the body of a call from a value.
func Encode(v any) ([]byte, error) { return encoding.Marshal(v) }

// Decode reads the body of a call into the value that v points to; unknown fields are errors.
func Decode(body []byte, v any) error { return decoding.Unmarshal(body, v) }
