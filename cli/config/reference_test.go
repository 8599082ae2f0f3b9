package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
	"github.com/supnode/supnode/test/expect"
)

// docs/config.md is what the code says of each field.
func TestTheReferenceIsTheCode(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# The config file

Made from the code by ` + "`go test ./cli/config -run TestTheReference -update`" + `. ` + "`supnode config check FILE`" + ` says what is wrong with a file, with line and column; unknown keys are refused.
Durations are written as ` + "`500ms`, `3s`, `1m30s`, sizes as `512KiB`, `64MiB`" + `. Paths are relative to the file. What is replicated at the first start holds for the cluster's life: a file that differs later is refused.

| field | type | default | |
|---|---|---|---|
`)
	for _, f := range reference() {
		if f.Doc == "" {
			t.Errorf("%s has no doc tag", f.Key)
		}
		def := f.Default
		if def != "" {
			def = "`" + def + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Key, f.Type, def, f.Doc)
	}
	b.WriteString("\nThe manifests of `supervisors` are those of the API: [supervision.md](supervision.md). The fields of a command: [exec.md](exec.md).\n")
	expect.File(t, filepath.Join("..", "..", "docs", "config.md"), b.String())
}

// The defaults that the reference names are those that a file gets which leaves them out.
func TestTheDefaultsOfTheReferenceAreTrue(t *testing.T) {
	const needed = "node: {name: n1, data_dir: /var/n1}\ncluster:\n  servers: [{name: n1, addr: 127.0.0.1:7101}]\n"
	plain, err := parse("n1.yaml", []byte(needed), "/etc")
	if err != nil {
		t.Fatal(err)
	}
	file := ""
	for _, f := range reference() {
		if f.Default == "" {
			continue
		}
		value := f.Default
		keys := strings.Split(f.Key, ".")
		for i := len(keys) - 1; i >= 0; i-- {
			value = fmt.Sprintf("{%s: %s}", keys[i], value)
		}
		file = merge(t, file, value)
	}
	file = merge(t, file, needed)
	written, err := parse("n1.yaml", []byte(file), "/etc")
	if err != nil {
		t.Fatalf("%v\n%s", err, file)
	}
	if diff := cmp.Diff(plain, written, cmpopts.IgnoreFields(node.Config{}, "Logger", "Exit")); diff != "" {
		t.Error(diff)
	}
}

// merge is a YAML file with what two have.
func merge(t *testing.T, a, b string) string {
	t.Helper()
	var x, y map[string]any
	if err := errors.Join(yaml.Unmarshal([]byte(a), &x), yaml.Unmarshal([]byte(b), &y)); err != nil {
		t.Fatal(err)
	}
	out, err := yaml.Marshal(into(x, y))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func into(x, y map[string]any) map[string]any {
	if x == nil {
		return y
	}
	for k, v := range y {
		if below, ok := v.(map[string]any); ok {
			old, _ := x[k].(map[string]any)
			v = into(old, below)
		}
		x[k] = v
	}
	return x
}

// field is one field of the config file, for people.
type field struct {
	Key     string // cluster.servers[].addr
	Type    string
	Default string // empty: none
	Doc     string
	Block   bool // it has fields of its own
}

// reference lists the fields of the config file in the order in which a file is written.
func reference() []field { return fieldsOf("", reflect.TypeFor[schema]()) }

func fieldsOf(at string, t reflect.Type) (all []field) {
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		f := field{Key: at + tag.Get("yaml"), Default: tag.Get("default"), Doc: tag.Get("doc")}
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
