package config

import (
	"github.com/supnode/supnode/admin"
	"github.com/supnode/supnode/node"
)

// DefaultAdmin is the admin address of a file that names none.
const DefaultAdmin = "127.0.0.1:8101"

// Config is what a file says, checked and with its defaults filled in.
type Config struct {
	Node  node.Config // without Logger
	Admin Admin
	Log   Log
	// Warnings are what the file allows though it is dangerous; to be said at every start.
	Warnings []string
}

// Admin is the HTTP face.
type Admin struct {
	Listen string
	TLS    *TLS          // nil: plain HTTP
	Tokens []admin.Token // none: whoever reaches the address may do everything
}

// TLS are PEM files.
type TLS struct{ Cert, Key string }

// Log says what is logged, and how.
type Log struct {
	Level string // trace | debug | info | warn | error
	JSON  bool
}

// URL is where the admin address is asked.
func (a Admin) URL() string {
	if a.TLS != nil {
		return "https://" + a.Listen
	}
	return "http://" + a.Listen
}
