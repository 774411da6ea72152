package monitor

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Monitor counts what one node does. Its methods may be called from any goroutine.
type Monitor struct {
	registry *prometheus.Registry
	units    *prometheus.CounterVec
	prompts  prometheus.Counter
	rows     prometheus.Counter
	bytes    prometheus.Counter
	took     prometheus.Histogram

	mu      sync.Mutex
	fleet   Fleet
	leaving bool
}

// How a unit may end on a node; values of the label result.
const (
	committed = "committed"
	lost      = "lost"
	dropped   = "dropped"
)

// New returns a Monitor with a registry of its own. version is shown as a label of actfleet_build_info.
func New(version string) *Monitor {
	m := &Monitor{
		registry: prometheus.NewRegistry(),
		units: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "actfleet_node_units_total",
			Help: "Units this node ended, by result: committed first, lost to another node that was first, or dropped."}, []string{"result"}),
		prompts: prometheus.NewCounter(prometheus.CounterOpts{Name: "actfleet_node_prompts_total",
			Help: "Prompts this node took through the model, those of dropped and lost units among them."}),
		rows: prometheus.NewCounter(prometheus.CounterOpts{Name: "actfleet_node_rows_total",
			Help: "Rows in the units this node committed."}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{Name: "actfleet_node_committed_bytes_total",
			Help: "Size of the shards this node committed."}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "actfleet_node_unit_duration_seconds",
			Help: "Time from the claim of a unit to its commit.", Buckets: prometheus.ExponentialBuckets(0.25, 2, 13)}),
	}
	for _, result := range []string{committed, lost, dropped} {
		m.units.WithLabelValues(result)
	}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "actfleet_build_info",
		Help: "1, with the commit the program was built from.", ConstLabels: prometheus.Labels{"version": version}}, func() float64 { return 1 })
	m.registry.MustRegister(m.units, m.prompts, m.rows, m.bytes, m.took, build, seen{m},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Follow shows a fleet from now on.
func (m *Monitor) Follow(f Fleet) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fleet = f
}

func (m *Monitor) following() (Fleet, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fleet, m.leaving
}

// Commit counts a unit that this node finished: as the first, or after another one.
func (m *Monitor) Commit(first bool, rows, bytes int64, took time.Duration) {
	m.took.Observe(took.Seconds())
	if !first {
		m.units.WithLabelValues(lost).Inc()
		return
	}
	m.units.WithLabelValues(committed).Inc()
	m.rows.Add(float64(rows))
	m.bytes.Add(float64(bytes))
}

// Prompts counts prompts that have gone through the model.
func (m *Monitor) Prompts(n int) { m.prompts.Add(float64(n)) }

// Drop counts a unit that this node gave up.
func (m *Monitor) Drop() { m.units.WithLabelValues(dropped).Inc() }

// Leave makes /healthz answer 503: whoever asks should send nothing here any more.
func (m *Monitor) Leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leaving = true
}

// Handler serves the paths of the package comment.
func (m *Monitor) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry}))
	mux.HandleFunc("/healthz", m.health)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

func (m *Monitor) health(w http.ResponseWriter, _ *http.Request) {
	fleet, leaving := m.following()
	switch {
	case leaving:
		http.Error(w, "leaving", http.StatusServiceUnavailable)
	case fleet == nil:
		fmt.Fprintln(w, "starting")
	default:
		fmt.Fprintln(w, self(fleet.Progress()).Condition())
	}
}
