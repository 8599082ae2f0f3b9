package admin

import (
	"net/http"

	"github.com/supnode/supnode/node"
	sup "github.com/supnode/supnode/supervisor"
)

// Starting answers for a node that has not started yet: it is alive, it is not ready, and whoever asks anything else is
// told to come again.
func Starting() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthz)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusServiceUnavailable, node.Ready{Checks: []node.Check{{
			Name: "started", Detail: "the node is starting; a server that starts for the first time waits for another one",
		}}})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, &sup.Problem{Code: sup.CodeNoLeader, Detail: "this node is starting"})
	})
	return mux
}

func healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}
