package admin

import (
	"fmt"
	"net/http"

	sup "github.com/supnode/supnode/supervisor"
)

// announced are paths of the API that this version does not have: whoever asks is told so, rather than that the path is
// mistyped.
var announced = map[string]string{
	"/{$}":             "the dashboard is",
	"/v1/names":        "global names are",
	"/v1/names/{name}": "global names are",
	"/v1/snapshot":     "backup and restore are",
	"/v1/supervisors/{sup}/children/{child}/checkpoint": "checkpoints are",
}

func announce(mux *http.ServeMux) {
	for path, what := range announced {
		p := &sup.Problem{Code: codeNotSupported, Detail: fmt.Sprintf("%s not in this version", what)}
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { writeProblem(w, p) })
	}
}
