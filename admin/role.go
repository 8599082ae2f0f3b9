package admin

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"

	sup "github.com/supnode/supnode/supervisor"
)

// Role is what a token allows; each role includes those before it.
type Role string

// The roles.
const (
	Viewer   Role = "viewer"   // reads: args and env of children are among what it sees
	Operator Role = "operator" // writes
	Admin    Role = "admin"    // what concerns the cluster itself
)

// Roles are all roles, the least first.
var Roles = []Role{Viewer, Operator, Admin}

// Known reports whether there is such a role.
func (r Role) Known() bool { return r.rank() > 0 }

func (r Role) rank() int {
	for i, known := range Roles {
		if r == known {
			return i + 1
		}
	}
	return 0
}

// includes reports whether whoever has this role may do what needs the other.
func (r Role) includes(needed Role) bool { return r.rank() >= needed.rank() }

// needs is the key of an operation's metadata for the role it needs; without it reads need Viewer, writes Operator.
const needs = "needs"

// needed is the role that a method needs unless its operation says otherwise.
func needed(method string) Role {
	if method == http.MethodGet || method == http.MethodHead {
		return Viewer
	}
	return Operator
}

// Token lets whoever sends it act in a role. Only its digest is kept.
type Token struct {
	Name   string // for people
	Role   Role
	Digest [sha256.Size]byte
}

// NewToken makes a Token of its text.
func NewToken(name string, role Role, text string) Token {
	return Token{Name: name, Role: role, Digest: sha256.Sum256([]byte(text))}
}

// tokens are looked up by digest, so that how long a look takes says nothing of a token.
type tokens map[[sha256.Size]byte]Token

func tokensOf(list []Token) tokens {
	t := tokens{}
	for _, token := range list {
		t[token.Digest] = token
	}
	return t
}

// check refuses a request that has no token with the role needed. Without any tokens everybody may do everything: the
// address is the protection.
func (t tokens) check(r *http.Request, needed Role) *sup.Problem {
	if len(t) == 0 {
		return nil
	}
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if text = strings.TrimSpace(text); text == "" || !strings.EqualFold(scheme, "Bearer") {
		return &sup.Problem{Code: sup.CodeUnauthorized, Detail: "send a token: Authorization: Bearer TOKEN"}
	}
	token, ok := t[sha256.Sum256([]byte(text))]
	switch {
	case !ok:
		return &sup.Problem{Code: sup.CodeUnauthorized, Detail: "this node does not know the token that was sent"}
	case !token.Role.includes(needed):
		return &sup.Problem{Code: sup.CodeForbidden, Detail: fmt.Sprintf("%s %s needs the role %s; the token %q has the role %s",
			r.Method, r.URL.Path, needed, token.Name, token.Role)}
	}
	return nil
}
