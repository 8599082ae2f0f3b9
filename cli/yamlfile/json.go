package yamlfile

import (
	"bytes"
	"encoding/json"
)

// JSON is the file as JSON; keys keep their order. An empty file is null.
func (f *File) JSON() []byte {
	if f.root == nil {
		return []byte("null")
	}
	return f.root.json()
}

func (v *value) json() json.RawMessage {
	var b bytes.Buffer
	v.writeJSON(&b)
	return b.Bytes()
}

func (v *value) writeJSON(b *bytes.Buffer) {
	switch v.kind {
	case null:
		b.WriteString("null")
	case scalar:
		b.Write(scalarJSON(v.scalar))
	case sequence:
		b.WriteByte('[')
		for i, item := range v.items {
			if i > 0 {
				b.WriteByte(',')
			}
			item.writeJSON(b)
		}
		b.WriteByte(']')
	case mapping:
		b.WriteByte('{')
		for i, f := range v.fields {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(scalarJSON(f.key))
			b.WriteByte(':')
			f.value.writeJSON(b)
		}
		b.WriteByte('}')
	}
}

// scalarJSON encodes a string, a bool, a finite number or the text of one, which can't fail, without HTML escapes.
func scalarJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}
