package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"go.etcd.io/bbolt"
)

// Whole reports a bbolt file that is shorter than it says it is. bbolt maps files into memory: reading beyond the end of
// one would end the process with a fault and no word. A file that is not there, or can't be opened, is for whoever opens it
// to report.
func Whole(path string, wait time.Duration) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: wait})
	if err != nil {
		return nil
	}
	defer db.Close()
	return db.View(func(tx *bbolt.Tx) error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if info.Size() < tx.Size() {
			return fmt.Errorf("%s is cut short: it has %d bytes of %d; put this node's data directory back from before the damage, "+
				"do not start it with an empty one under the same name: it would have forgotten its votes", path, info.Size(), tx.Size())
		}
		return nil
	})
}
