package admin

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
)

// schemas describes the vocabulary to huma: package supervisor knows nothing of it. What it describes wrongly would be
// refused wrongly, for huma checks bodies by it.
func schemas() huma.Registry {
	r := huma.NewMapRegistry("#/components/schemas/", schemaName)
	alias := func(t, described reflect.Type) { r.RegisterTypeAlias(t, described) }
	alias(reflect.TypeFor[sup.Selector](), reflect.TypeFor[selectorSchema]())
	alias(reflect.TypeFor[sup.Strategy](), reflect.TypeFor[strategySchema]())
	alias(reflect.TypeFor[sup.Restart](), reflect.TypeFor[restartSchema]())
	alias(reflect.TypeFor[sup.AutoShutdown](), reflect.TypeFor[autoShutdownSchema]())
	alias(reflect.TypeFor[sup.Duration](), reflect.TypeFor[durationSchema]())
	return r
}

// schemaName gives the types of the Go API the names that the documents use.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case reflect.TypeFor[sup.Info]():
		return "Supervisor"
	case reflect.TypeFor[sup.ChildInfo]():
		return "Child"
	case reflect.TypeFor[sup.NodeInfo]():
		return "Node"
	case reflect.TypeFor[sup.Spec]():
		return "Manifest"
	case reflect.TypeFor[node.Check]():
		return "ReadyCheck"
	}
	return huma.DefaultSchemaNamer(t, hint)
}

type (
	selectorSchema     struct{}
	strategySchema     struct{}
	restartSchema      struct{}
	autoShutdownSchema struct{}
	durationSchema     struct{}
)

func oneOf[T ~string](doc string, values ...T) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString, Description: doc}
	for _, v := range values {
		s.Enum = append(s.Enum, string(v))
	}
	return s
}

// Schema implements huma.SchemaProvider.
func (selectorSchema) Schema(huma.Registry) *huma.Schema {
	text := func() *huma.Schema { return &huma.Schema{Type: huma.TypeString} }
	alternatives := []*huma.Schema{
		oneOf("", sup.SelectLocalFirst, sup.SelectRoundRobin, sup.SelectLeastLoaded, sup.SelectRandom),
		object(map[string]*huma.Schema{
			"node":     text(),
			"fallback": oneOf("Where to run when the node can't; left out: never elsewhere.", sup.SelectLocalFirst, sup.SelectRoundRobin, sup.SelectLeastLoaded, sup.SelectRandom),
		}, "node"),
		object(map[string]*huma.Schema{"custom": text()}, "custom"),
	}
	return &huma.Schema{
		Description: "How a node is chosen.", OneOf: alternatives,
		Examples: []any{"round_robin", map[string]any{"node": "n2"}},
	}
}

// object is a schema of an object that has no other properties.
func object(properties map[string]*huma.Schema, required ...string) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeObject, Properties: properties, Required: required, AdditionalProperties: false}
	s.PrecomputeMessages()
	return s
}

// Schema implements huma.SchemaProvider.
func (strategySchema) Schema(huma.Registry) *huma.Schema {
	return oneOf("Which children a failure concerns.", sup.OneForOne, sup.OneForAll, sup.RestForOne, sup.SimpleOneForOne)
}

// Schema implements huma.SchemaProvider.
func (restartSchema) Schema(huma.Registry) *huma.Schema {
	return oneOf("After which exits the child runs again.", sup.Permanent, sup.Transient, sup.Temporary)
}

// Schema implements huma.SchemaProvider.
func (autoShutdownSchema) Schema(huma.Registry) *huma.Schema {
	return oneOf("When the end of significant children stops the supervisor.", sup.NeverShutdown, sup.AnySignificant, sup.AllSignificant)
}

// Schema implements huma.SchemaProvider.
func (durationSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeString, Description: "A span of time.", Examples: []any{"5s", "250ms", "infinity"},
		Pattern:            `^(infinity|0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`,
		PatternDescription: `a duration like "250ms", "5s" or "infinity"`,
	}
}

// problemSchema describes what every refusal looks like.
func problemSchema() *huma.Schema {
	text := func(doc string) *huma.Schema { return &huma.Schema{Type: huma.TypeString, Description: doc} }
	var codes []any
	for _, c := range codesInOrder() {
		codes = append(codes, string(c))
	}
	return &huma.Schema{
		Type: huma.TypeObject,
		Properties: map[string]*huma.Schema{
			"type":   text("A URI that names the code."),
			"title":  text("What the code means."),
			"status": {Type: huma.TypeInteger, Description: "The HTTP status."},
			"detail": text("What happened this time, for a person."),
			"code":   {Type: huma.TypeString, Enum: codes, Description: "What a program decides on; further fields depend on it."},
		},
		Required:             []string{"type", "title", "status", "detail", "code"},
		AdditionalProperties: true,
	}
}
