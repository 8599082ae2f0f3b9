package admin

import (
	"net/http"
	"strings"
	"testing"
)

func TestTokensDecideWhoMayDoWhat(t *testing.T) {
	f := newFace(t)
	_, g, err := newAPI(f.memory, Options{Tokens: []Token{
		NewToken("eyes", Viewer, "v-secret"), NewToken("hands", Operator, "o-secret"), NewToken("boss", Admin, "a-secret"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	g.routes["GET /v1/status"] = route{role: Admin} // something that only the highest role may
	f.handler = g
	f.must(http.StatusCreated, http.MethodPost, "/v1/supervisors", pool, "Authorization: Bearer o-secret")
	tokens := []string{"", "Bearer wrong", "Basic v-secret", "Bearer v-secret", "bearer o-secret", "Bearer a-secret"}
	for _, c := range []struct {
		method, path string
		want         [6]int
	}{
		{http.MethodGet, "/healthz", [6]int{200, 200, 200, 200, 200, 200}},
		{http.MethodGet, "/readyz", [6]int{200, 200, 200, 200, 200, 200}},
		{http.MethodGet, "/openapi.json", [6]int{401, 401, 401, 200, 200, 200}},
		{http.MethodGet, "/v1/supervisors/pool", [6]int{401, 401, 401, 200, 200, 200}},
		{http.MethodGet, "/v1/nothing", [6]int{401, 401, 401, 404, 404, 404}},
		{http.MethodPost, "/v1/supervisors/pool/children/w1/restart", [6]int{401, 401, 401, 403, 200, 200}},
		{http.MethodGet, "/v1/supervisors/pool/children/w1/logs", [6]int{401, 401, 401, 403, 200, 200}},
		{http.MethodPatch, "/v1/supervisors/pool", [6]int{401, 401, 401, 403, 405, 405}},
		{http.MethodPost, "/v1/nodes/n1/undrain", [6]int{401, 401, 401, 403, 202, 202}},
		{http.MethodDelete, "/v1/nodes/n9", [6]int{401, 401, 401, 403, 403, 404}},
		{http.MethodGet, "/v1/status", [6]int{401, 401, 401, 403, 403, 200}},
	} {
		for i, token := range tokens {
			w := f.ask(c.method, c.path, "", "Authorization: "+token)
			if w.Code != c.want[i] {
				t.Errorf("%s %s with %q: %d, want %d: %s", c.method, c.path, token, w.Code, c.want[i], w.Body)
			}
			if (w.Code == http.StatusUnauthorized) != (w.Header().Get("WWW-Authenticate") != "") {
				t.Errorf("%s with %q: header %v", c.path, token, w.Header())
			}
			if strings.Contains(w.Body.String(), "secret") {
				t.Errorf("%s shows a token: %s", c.path, w.Body)
			}
		}
	}
	w := f.ask(http.MethodDelete, "/v1/supervisors/pool", "", "Authorization: Bearer v-secret")
	if want := `DELETE /v1/supervisors/pool needs the role operator; the token \"eyes\" has the role viewer`; !strings.Contains(w.Body.String(), want) {
		t.Errorf("%s", w.Body)
	}
}

// Nobody without a token makes a node read a body.
func TestABodyIsReadForThoseWhoMaySendIt(t *testing.T) {
	f := newFace(t)
	_, g, err := newAPI(f.memory, Options{Tokens: []Token{NewToken("hands", Operator, "o-secret")}})
	if err != nil {
		t.Fatal(err)
	}
	f.handler = g
	large := strings.Repeat("x", MaxBody+1)
	if w := f.ask(http.MethodPost, "/v1/supervisors", large); w.Code != http.StatusUnauthorized {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := f.ask(http.MethodPost, "/v1/supervisors", large, "Authorization: Bearer o-secret"); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
