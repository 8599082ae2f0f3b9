package client

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// Problem is a cluster's refusal, as application/problem+json says it.
type Problem struct {
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Detail string  `json:"detail"`
	Code   string  `json:"code"`
	Errors []Wrong `json:"errors"`

	Reasons map[string]string `json:"reasons"`
	Bound   uint64            `json:"bound"`
}

// Wrong is one place of a request that is wrong.
type Wrong struct {
	Location string `json:"location"`
	Message  string `json:"message"`
}

func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Title + ": " + p.Detail
}

// problemOf reads a refusal; an answer that is none becomes one that shows it.
func problemOf(addr string, res *http.Response, body []byte) *Problem {
	p := &Problem{}
	if json.Unmarshal(body, p) == nil && p.Code != "" {
		return p
	}
	p = &Problem{Title: fmt.Sprintf("%s answered with status %d", addr, res.StatusCode), Status: res.StatusCode, Detail: firstLine(body)}
	if to := res.Header.Get("Location"); to != "" {
		p.Detail = fmt.Sprintf("it points to %s, and is no node", to)
	}
	return p
}

// maxShown bounds what is shown of an answer that is not understood, in bytes.
const maxShown = 200

func firstLine(b []byte) string {
	for i, c := range b {
		if c == '\n' || i == maxShown {
			return string(b[:i])
		}
	}
	return string(b)
}
