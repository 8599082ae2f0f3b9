package config

import (
	"reflect"

	sup "github.com/supnode/supnode/supervisor"
)

// Field is one field of the config file, for people.
type Field struct {
	Key     string // cluster.servers[].addr
	Type    string
	Default string // empty: none
	Doc     string
	Block   bool // it has fields of its own
}

// Reference lists the fields of the config file in the order in which a file is written.
func Reference() []Field { return fieldsOf("", reflect.TypeFor[schema]()) }

func fieldsOf(at string, t reflect.Type) (all []Field) {
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		f := Field{Key: at + tag.Get("yaml"), Default: tag.Get("default"), Doc: tag.Get("doc")}
		of, suffix := t.Field(i).Type, ""
		if of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		f.Type = typeName(of)
		if of.Kind() == reflect.Slice {
			of, suffix = of.Elem(), "[]"
		}
		f.Block = of.Kind() == reflect.Struct && of.PkgPath() == reflect.TypeFor[schema]().PkgPath()
		all = append(all, f)
		if f.Block {
			all = append(all, fieldsOf(f.Key+suffix+".", of)...)
		}
	}
	return all
}

func typeName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[duration]():
		return "duration"
	case t == reflect.TypeFor[sup.Size]():
		return "size"
	}
	switch t.Kind() {
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct {
			return "list"
		}
		return "list of " + typeName(t.Elem())
	case reflect.Map:
		return "map"
	case reflect.Struct:
		return "block"
	}
	return t.Kind().String()
}
