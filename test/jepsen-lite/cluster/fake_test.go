package cluster

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// TestMain makes the test binary a supnode of a sort: it reads the config file, listens, runs a guardian and says that n1
// leads.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 4 && os.Args[1] == "start":
		fake(os.Args[3])
	case len(os.Args) == 2 && os.Args[1] == "guardian":
		time.Sleep(time.Minute)
	default:
		os.Exit(m.Run())
	}
}

func fake(file string) {
	b, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	name := regexp.MustCompile(`name: (\w+)`).FindSubmatch(b)[1]
	listen := regexp.MustCompile(`listen: (\S+)`).FindAllSubmatch(b, 2)
	guardian := exec.Command(os.Args[0], "guardian")
	guardian.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := guardian.Start(); err != nil {
		panic(err)
	}
	role := "follower"
	if string(name) == "n1" {
		role = "leader"
	}
	http.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/v1/status", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(Status{Node: string(name), Role: role, Leader: "n1", Term: 1})
	})
	http.HandleFunc("DELETE /v1/supervisors/pool/children/w1", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})
	http.HandleFunc("POST /v1/supervisors/pool/children", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		if string(name) != "n3" { // only n3 has found the leader
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"status": 503, "code": "no_leader", "detail": "no leader in 1s"}`)
			return
		}
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintf(w, `{"status": 409, "code": "duplicate_child", "detail": %q}`, r.Header.Get("Idempotency-Key"))
	})
	go func() { panic(http.ListenAndServe(string(listen[1][1]), nil)) }()
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	<-term
	guardian.Process.Kill()
	guardian.Wait()
	os.Exit(0)
}
