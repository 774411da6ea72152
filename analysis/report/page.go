package report

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
)

//go:embed page
var files embed.FS

var page = template.Must(template.ParseFS(files, "page/page.html.tmpl"))

// view is what the template sees.
type view struct {
	Title        string
	Style        template.CSS
	Script       template.JS
	Nav          []link
	Notes        []string
	Runs         []runView
	Transfers    []transferView
	Sweeps       []sweepView
	Tradeoffs    []tradeoffView
	Families     []familyView
	Densities    densityView
	Browsers     []browserView
	Fleets       []fleetView
	Norms        []normsView
	Commands     []string
	Above, Below []string // classes of the colour legend
}

type link struct{ ID, Name string }

type runView struct {
	Name  string
	Facts []fact
}

type fact struct {
	Name, Value string
	Mono, Wide  bool
}

// entry is one item of a legend.
type entry struct{ Class, Name string }

// generator is how a page says who wrote it.
const generator = `<meta name="generator" content="actfleet report">`

// IsPage tells from the first bytes of a file whether Write wrote it.
func IsPage(head []byte) bool { return bytes.Contains(head, []byte(generator)) }

// Write renders the report as one HTML page that needs nothing else: no file, no
// network, no script. Equal reports give equal bytes.
func Write(w io.Writer, r Report) error {
	v, err := viewOf(r)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := page.Execute(w, v); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func viewOf(r Report) (view, error) {
	style, err := files.ReadFile("page/style.css")
	if err != nil {
		return view{}, err
	}
	tip, err := files.ReadFile("page/tip.js")
	if err != nil {
		return view{}, err
	}
	find, err := files.ReadFile("page/find.js")
	if err != nil {
		return view{}, err
	}
	v := view{Title: title(r), Style: template.CSS(style) + themeCSS(), Script: template.JS(tip) + template.JS(find), Notes: r.Notes, Commands: r.Commands}
	for i := range light.above {
		v.Above = append(v.Above, fmt.Sprintf("h%d", i))
	}
	for i := range light.below {
		v.Below = append([]string{fmt.Sprintf("w%d", i)}, v.Below...)
	}
	v.addSections(r)
	return v, nil
}

// addSections fills the parts in the order of the page, each with its link.
func (v *view) addSections(r Report) {
	for _, run := range r.Runs {
		v.Runs = append(v.Runs, runView{run.Name, factsOf(run)})
	}
	if len(v.Runs) > 0 {
		v.Nav = append(v.Nav, link{"runs", "Collected"})
	}
	for i, t := range r.Transfers {
		v.Transfers = append(v.Transfers, transferOf(t, v.link("transfer", i, "Transfer: "+t.Name)))
	}
	for i, s := range r.Probes {
		v.Sweeps = append(v.Sweeps, sweepOf(s, v.link("probes", i, "Probes: "+s.Name)))
	}
	for i, t := range tradeoffsOf(r.Coders) {
		t.ID = v.link("tradeoff", i, t.Title)
		v.Tradeoffs = append(v.Tradeoffs, t)
	}
	for _, f := range families(r.Coders) {
		f.ID = v.link("curves-"+f.kind, 0, f.Title)
		v.Families = append(v.Families, f)
	}
	v.addLatents(r.Coders)
	for i, f := range r.Timelines {
		if len(f.Nodes) > 0 {
			v.Fleets = append(v.Fleets, fleetOf(f, v.link("fleet", i, "Fleet: "+f.Name)))
		}
	}
	for i, n := range r.Norms {
		if len(n.Columns) > 0 {
			v.Norms = append(v.Norms, normsOf(n, v.link("norms", i, "Norms: "+n.Name)))
		}
	}
	if len(r.Commands) > 0 {
		v.Nav = append(v.Nav, link{"reproduce", "How to reproduce"})
	}
}

// addLatents shows what was found out about single latents.
func (v *view) addLatents(coders []Coder) {
	if v.Densities = densities(coders); len(v.Densities.Panels) > 0 {
		v.Densities.ID = v.link("densities", 0, "Densities")
	}
	for i, b := range browsers(coders) {
		b.ID = v.link("latents", i, "Latents: "+b.Name)
		v.Browsers = append(v.Browsers, b)
	}
}

func (v *view) link(kind string, i int, name string) (id string) {
	id = fmt.Sprintf("%s-%d", kind, i)
	v.Nav = append(v.Nav, link{id, name})
	return id
}

func title(r Report) string {
	var names []string
	for _, run := range r.Runs {
		names = append(names, run.Name)
	}
	return cmp.Or(r.Title, strings.Join(names, ", "), "actfleet report")
}

func factsOf(r Run) []fact {
	var facts []fact
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, fact{Name: name, Value: value})
		}
	}
	add("model", r.Model)
	add("data", joined(r.Data, whole(r.DataRows)+" rows"))
	add("rows stored", whole(r.Rows))
	add("units", unitsOf(r))
	add("size", size(r.Bytes))
	add("sites", r.Sites)
	add("layers", r.Layers)
	add("tokens", r.Tokens)
	add("stored as", r.Dtype)
	add("computed in", r.Compute)
	add("template", r.Template)
	add("adapters", strings.Join(r.Adapters, ", "))
	add("collected", when(r.Started, r.Ended))
	if r.PlanID != "" {
		facts = append(facts, fact{Name: "plan id", Value: r.PlanID, Mono: true, Wide: true})
	}
	return facts
}

func joined(a, b string) string {
	if a == "" {
		return b
	}
	return a + ", " + b
}

func unitsOf(r Run) string {
	committed := r.Committed + r.Gone
	text := fmt.Sprintf("%s of %s committed", whole(int64(committed)), whole(int64(r.Units)))
	if committed == r.Units {
		text = fmt.Sprintf("%s, all committed", whole(int64(r.Units)))
	}
	if r.Gone > 0 {
		text += fmt.Sprintf(", of which the ring's readers have acknowledged %s, now deleted", whole(int64(r.Gone)))
	}
	if r.Damaged > 0 {
		text += fmt.Sprintf(", damaged: %s", whole(int64(r.Damaged)))
	}
	return text
}

func when(from, to time.Time) string {
	if from.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s UTC, %s", from.UTC().Format("2006-01-02 15:04"), span(to.Sub(from)))
}
