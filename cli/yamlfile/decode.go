package yamlfile

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Decode fills the struct that into points to. Keys are the fields' yaml tags, else their json tags; a key that no field
// has is refused. The error is an Errors with all that is wrong.
func (f *File) Decode(into any) error {
	d := decoder{file: f}
	if f.root != nil {
		d.decode(f.root, reflect.ValueOf(into).Elem(), "")
	}
	if len(d.errs) > 0 {
		return d.errs.Sorted()
	}
	return nil
}

type decoder struct {
	file *File
	errs Errors
}

func (d *decoder) refuse(at place, path, format string, args ...any) {
	e := d.file.at(at, format, args...)
	e.Field = path
	d.errs = append(d.errs, e)
}

// Defaulted is a struct whose missing keys mean other values than zero. Named is called when those that are named are set; it
// answers a key whose value it refuses, and why.
type Defaulted interface {
	SetDefaults()
	Named() (key, wrong string)
}

var rawMessage = reflect.TypeFor[json.RawMessage]()

// decode stores v in to; null leaves to as it is.
func (d *decoder) decode(v *value, to reflect.Value, path string) {
	if v.kind == null && to.Type() != rawMessage {
		return
	}
	if to.Kind() == reflect.Pointer {
		to.Set(reflect.New(to.Type().Elem()))
		to = to.Elem()
	}
	switch into := to.Addr().Interface().(type) {
	case *json.RawMessage:
		*into = v.json()
		return
	case Defaulted: // before Unmarshaler: the decoder's own words name the key
		into.SetDefaults()
		d.decodeStruct(v, to, path)
		key, wrong := into.Named()
		for _, fd := range v.fields {
			if fd.key == key {
				d.refuse(fd.value.at, join(path, key), "%s", wrong)
			}
		}
		return
	case json.Unmarshaler:
		if err := into.UnmarshalJSON(v.json()); err != nil {
			d.refuse(v.at, path, "%s", strings.TrimPrefix(err.Error(), "json: "))
		}
		return
	case encoding.TextUnmarshaler:
		if v.kind != scalar {
			d.mismatch(v, path, "text")
			return
		}
		if err := into.UnmarshalText([]byte(v.text)); err != nil {
			d.refuse(v.at, path, "%s", err)
		}
		return
	}
	switch to.Kind() {
	case reflect.Struct:
		d.decodeStruct(v, to, path)
	case reflect.Slice:
		if v.kind != sequence {
			d.mismatch(v, path, "a list")
			return
		}
		out := reflect.MakeSlice(to.Type(), len(v.items), len(v.items))
		for i, item := range v.items {
			d.decode(item, out.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
		to.Set(out)
	case reflect.Map:
		if v.kind != mapping {
			d.mismatch(v, path, "a mapping (key: value)")
			return
		}
		out := reflect.MakeMap(to.Type())
		for _, fd := range v.fields {
			item := reflect.New(to.Type().Elem()).Elem()
			d.decode(fd.value, item, join(path, fd.key))
			out.SetMapIndex(reflect.ValueOf(fd.key).Convert(to.Type().Key()), item)
		}
		to.Set(out)
	default:
		d.decodeScalar(v, to, path)
	}
}

func (d *decoder) decodeStruct(v *value, to reflect.Value, path string) {
	if v.kind != mapping {
		d.mismatch(v, path, "a mapping (key: value)")
		return
	}
	known := fields(to.Type())
	for _, fd := range v.fields {
		i, ok := known.index[fd.key]
		if !ok {
			where := ""
			if path != "" {
				where = " in " + path
			}
			d.refuse(fd.at, join(path, fd.key), "unknown key %q%s; %s", fd.key, where, suggest(fd.key, known.names))
			continue
		}
		d.decode(fd.value, to.Field(i), join(path, fd.key))
	}
}

func (d *decoder) decodeScalar(v *value, to reflect.Value, path string) {
	switch to.Kind() {
	case reflect.String:
		s, ok := v.scalar.(string)
		if !ok && v.kind == scalar {
			d.refuse(v.at, path, "%s must be text, and %s is %s; put it in quotes", path, v.text, v.describe())
			return
		}
		if !ok {
			d.mismatch(v, path, "text")
			return
		}
		to.SetString(s)
	case reflect.Bool:
		b, ok := v.scalar.(bool)
		if !ok {
			d.mismatch(v, path, "true or false")
			return
		}
		to.SetBool(b)
	case reflect.Int, reflect.Int64:
		switch n := v.scalar.(type) {
		case int64:
			to.SetInt(n)
		case uint64:
			if n > 1<<63-1 {
				d.refuse(v.at, path, "%s: %d is too large", path, n)
				return
			}
			to.SetInt(int64(n))
		case json.Number:
			if strings.ContainsAny(v.text, ".eE") {
				d.mismatch(v, path, "a whole number")
				return
			}
			d.refuse(v.at, path, "%s: %s is too large", path, v.text)
		default:
			d.mismatch(v, path, "a whole number")
		}
	case reflect.Float64:
		switch n := v.scalar.(type) {
		case int64:
			to.SetFloat(float64(n))
		case uint64:
			to.SetFloat(float64(n))
		case float64:
			to.SetFloat(n)
		case json.Number:
			f, err := n.Float64()
			if err != nil {
				d.refuse(v.at, path, "%s: %s is too large", path, v.text)
				return
			}
			to.SetFloat(f)
		default:
			d.mismatch(v, path, "a number")
		}
	default:
		panic("yamlfile: no way to decode into " + to.Type().String())
	}
}

func (d *decoder) mismatch(v *value, path, want string) {
	what := path
	if what == "" {
		what = "the file"
	}
	d.refuse(v.at, path, "%s must be %s, not %s", what, want, v.describe())
}

// describe says what a value is, for a person.
func (v *value) describe() string {
	switch v.kind {
	case null:
		return "empty"
	case sequence:
		return "a list"
	case mapping:
		return "a mapping"
	}
	switch v.scalar.(type) {
	case bool:
		return "a boolean"
	case string:
		return fmt.Sprintf("the text %q", v.text)
	}
	return "the number " + v.text
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// structFields are a struct's keys, in the order of its fields.
type structFields struct {
	names []string
	index map[string]int
}

func fields(t reflect.Type) structFields {
	out := structFields{index: map[string]int{}}
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("yaml")
		if tag == "" {
			tag = f.Tag.Get("json")
		}
		name, _, _ := strings.Cut(tag, ",")
		if name == "" || name == "-" {
			continue
		}
		out.names = append(out.names, name)
		out.index[name] = i
	}
	return out
}
