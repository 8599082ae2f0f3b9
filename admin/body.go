package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	sup "github.com/supnode/supnode/supervisor"
)

// MaxBody bounds a request's body, in bytes.
const MaxBody = 1 << 20

// bodyTimeout bounds how long a client may take to send a body.
const bodyTimeout = 10 * time.Second

// boundBody bounds how long the client may take to send its body, whoever reads it: also net/http, which takes in what a
// handler has left unread before it sends the answer.
func boundBody(w http.ResponseWriter, r *http.Request) {
	if r.Body != nil && r.Body != http.NoBody {
		// Writers that know no deadlines (in tests) refuse; then there is none to lift.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	}
}

// readBody takes the whole body in, so that nothing behind it waits for a client, and lifts the read deadline again:
// one that strikes later would cancel the request.
func readBody(w http.ResponseWriter, r *http.Request) *sup.Problem {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	tooLarge := &sup.Problem{Code: sup.CodePayloadTooLarge, Bound: MaxBody,
		Detail: fmt.Sprintf("the body has more than %d bytes", MaxBody)}
	if r.ContentLength > MaxBody {
		return tooLarge
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	switch {
	case err != nil:
		w.Header().Set("Connection", "close") // the rest is not waited for
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return invalidAt("body", "the body did not arrive within %s", bodyTimeout)
		}
		return invalidAt("body", "the body could not be read: %s", err)
	case len(body) > MaxBody:
		return tooLarge
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	r.Body = io.NopCloser(bytes.NewReader(body))
	if len(body) == 0 {
		return nil
	}
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); {
	case kind == "application/json" || strings.HasSuffix(kind, "+json"):
	case kind == "" || kind == "application/x-www-form-urlencoded": // what curl -d says unless told otherwise
		r.Header.Set("Content-Type", "application/json")
	default:
		return invalidAt("Content-Type", "%s is not understood; send application/json", kind)
	}
	return nil
}

// strictJSON is huma's format for bodies: JSON in which no key comes twice, with errors that name line and column.
var strictJSON = huma.Format{
	Marshal: huma.DefaultJSONFormat.Marshal,
	Unmarshal: func(data []byte, v any) error {
		if err := json.Unmarshal(data, v); err != nil {
			return explain(data, v, err)
		}
		if _, generic := v.(*any); !generic {
			return nil // the second look at the same body
		}
		if !utf8.Valid(data) {
			return errors.New("this is not UTF-8 text")
		}
		return noDuplicates(data)
	},
}

// explain says where JSON goes wrong.
func explain(data []byte, v any, err error) error {
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	_, generic := v.(*any)
	switch {
	case errors.As(err, &syntax):
	case generic && errors.As(err, &wrong):
		return fmt.Errorf("the %s is too large", wrong.Value)
	default:
		if m := misfitOf(data, reflect.TypeOf(v), "", 0); m != nil {
			return m
		}
		return err
	}
	before := data[:max(0, min(int(syntax.Offset)-1, len(data)))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	return fmt.Errorf("this is not valid JSON: line %d, column %d: %s", line, column, syntax)
}

// noDuplicates refuses an object that has a key twice: which of the values was meant?
func noDuplicates(data []byte) error {
	at, err := duplicate(json.NewDecoder(bytes.NewReader(data)))
	if at == nil {
		return err
	}
	slices.Reverse(at)
	return fmt.Errorf("the field %s is there twice", strings.TrimPrefix(strings.Join(at, ""), "."))
}

// duplicate reads a value and returns the way to a key that comes twice in an object, the innermost step first. The way is
// put together on the way back: a client chooses how deep a value is.
func duplicate(d *json.Decoder) (at []string, err error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		seen := map[string]bool{}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			key := k.(string)
			if seen[key] {
				return []string{"." + key}, nil
			}
			seen[key] = true
			switch at, err := duplicate(d); {
			case err != nil:
				return nil, err
			case at != nil:
				return append(at, "."+key), nil
			}
		}
		_, err = d.Token()
	case json.Delim('['):
		for i := 0; d.More(); i++ {
			switch at, err := duplicate(d); {
			case err != nil:
				return nil, err
			case at != nil:
				return append(at, fmt.Sprintf("[%d]", i)), nil
			}
		}
		_, err = d.Token()
	}
	return nil, err
}
