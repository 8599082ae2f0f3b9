package admin

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are those of a node's requests.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "supnode_http_requests_total",
			Help: "Requests by route and status; a route that there is not is empty."}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "supnode_http_request_seconds",
			Help:    "Time to the end of the answer, by route; event streams are not counted.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "supnode_http_requests_in_flight", Help: "Requests that are being served."}),
	}
	m.registry.MustRegister(m.requests, m.seconds, m.inFlight)
	return m
}

// handler serves these metrics with those of the node.
func (m *metrics) handler(of prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(prometheus.Gatherers{m.registry, of}, promhttp.HandlerOpts{})
}

// answered counts a request; route is the mux's pattern.
func (m *metrics) answered(route string, a *answer, took time.Duration) {
	if a.code == 0 {
		a.code = http.StatusOK // what net/http sends for a handler that says nothing
	}
	m.requests.WithLabelValues(route, strconv.Itoa(a.code)).Inc()
	if !strings.HasPrefix(a.Header().Get("Content-Type"), "text/event-stream") {
		m.seconds.WithLabelValues(route).Observe(took.Seconds())
	}
}
