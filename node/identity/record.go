package identity

import (
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"

	sup "github.com/supnode/supnode/supervisor"
	"go.etcd.io/bbolt"
)

// format is the version of state.db.
const format = "1"

var bucket = []byte("identity")

// record is what state.db says, one key a field, as text.
type record struct {
	ID      string
	Name    sup.NodeName
	Cluster string
	Gen     uint64
	Raft    bool // the Raft log exists
	place   place
}

// merge takes what another record knows more: facts are added, never taken back.
func (r *record) merge(o record) {
	if o.Cluster != "" {
		r.Cluster = o.Cluster
	}
	r.Gen = max(r.Gen, o.Gen)
	r.Raft = r.Raft || o.Raft
}

// load reads the record; found is false in a new file.
func load(db *bbolt.DB) (r record, found bool, err error) {
	err = db.View(func(tx *bbolt.Tx) error {
		r, found, err = read(tx)
		return err
	})
	return r, found, err
}

// save writes the record, in a file that may be new.
func save(db *bbolt.DB, r record) error {
	return db.Update(func(tx *bbolt.Tx) error { return write(tx, r) })
}

func read(tx *bbolt.Tx) (record, bool, error) {
	b := tx.Bucket(bucket)
	if b == nil {
		return record{}, false, nil
	}
	get := func(key string) string { return string(b.Get([]byte(key))) }
	if f := get("format"); f != format {
		return record{}, false, fmt.Errorf("it has format %q and this supnode knows format %s: run the version that wrote it, or a newer one", f, format)
	}
	var errs []error
	number := func(key string) uint64 {
		n, err := strconv.ParseUint(get(key), 10, 64)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
		return n
	}
	r := record{
		ID: get("id"), Name: sup.NodeName(get("name")), Cluster: get("cluster"), Gen: number("generation"), Raft: get("raft") == "yes",
		place: place{device: number("device"), inode: number("inode"), machine: get("machine")},
	}
	if r.ID == "" || r.Name == "" {
		errs = append(errs, errors.New("no id or no name"))
	}
	if sum := get("sum"); sum != "" && sum != r.sum() && len(errs) == 0 { // the first versions wrote none
		errs = append(errs, errors.New("its checksum is wrong"))
	}
	if len(errs) > 0 {
		return record{}, false, fmt.Errorf("it is damaged (%w): put it back from before the damage", errors.Join(errs...))
	}
	return r, true, nil
}

func write(tx *bbolt.Tx, r record) error {
	b, err := tx.CreateBucketIfNotExists(bucket)
	if err != nil {
		return err
	}
	for _, f := range append(r.fields(), [2]string{"sum", r.sum()}) {
		if err := b.Put([]byte(f[0]), []byte(f[1])); err != nil {
			return err
		}
	}
	return nil
}

// fields are the keys and values of the file.
func (r record) fields() [][2]string {
	raft := "no"
	if r.Raft {
		raft = "yes"
	}
	return [][2]string{
		{"format", format}, {"id", r.ID}, {"name", string(r.Name)}, {"cluster", r.Cluster},
		{"generation", strconv.FormatUint(r.Gen, 10)}, {"raft", raft},
		{"device", strconv.FormatUint(r.place.device, 10)}, {"inode", strconv.FormatUint(r.place.inode, 10)}, {"machine", r.place.machine},
	}
}

// sum is a checksum of the fields: bbolt keeps none of what it stores, and a turned bit would make this node another one.
func (r record) sum() string {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	for _, f := range r.fields() {
		fmt.Fprintf(sum, "%s=%q\n", f[0], f[1])
	}
	return fmt.Sprintf("%08x", sum.Sum32())
}
