package identity

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	sup "github.com/supnode/supnode/supervisor"
)

// adoptWait is how long Adopt waits for the lock.
const adoptWait = time.Second

// Adopted is what a directory that was adopted is.
type Adopted struct {
	Name    sup.NodeName
	ID      string
	Cluster string // empty when it had not joined one
}

// Adopt makes a copied or moved data directory the node's own (`supnode node adopt`). It is for whoever knows that the
// original will never be started again, and that the copy is the original's last state: an older one has forgotten votes and
// entries that the node had acknowledged. Adopting a directory that is in its place changes nothing.
func Adopt(dir string) (Adopted, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Adopted{}, err
	}
	path := filepath.Join(dir, File)
	there, err := exists(path)
	if err != nil {
		return Adopted{}, err
	}
	if !there {
		return Adopted{}, fmt.Errorf("%s is no data directory of a node: there is no %s in it", dir, File)
	}
	db, err := lock(context.Background(), dir, adoptWait)
	if err != nil {
		return Adopted{}, err
	}
	rec, err := func() (record, error) {
		rec, found, err := load(db)
		switch {
		case err != nil:
			return rec, fmt.Errorf("%s: %w", path, err)
		case !found:
			return rec, fmt.Errorf("%s has no identity in it: there is nothing to adopt", path)
		}
		if rec.place, err = locate(path); err != nil {
			return rec, err
		}
		return rec, save(db, rec)
	}()
	if err := errors.Join(err, db.Close()); err != nil {
		return Adopted{}, err
	}
	return Adopted{Name: rec.Name, ID: rec.ID, Cluster: rec.Cluster}, nil
}
