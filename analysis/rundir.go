package analysis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/shard/store/local"
)

// runDir is what was found in one run's directory.
type runDir struct {
	name     string // unique among the runs
	dir      string // absolute
	link     string // a folder of links to its folders, under names without special characters
	plan     run.Plan
	manifest run.Manifest // of this plan; empty without one
	units    []int        // committed, ascending
	damaged  []int        // whose shard is left out
	gone     []int        // of a ring, whose shard every reader has acknowledged and which is deleted
	coded    map[string]coded
	logs     []string // file names
}

// coded is the folder of one coder.
type coded struct {
	link  string // its name in runDir.link
	units []int
}

var (
	unitFile = regexp.MustCompile(`^unit-(\d{6})\.parquet$`)
	logFile  = regexp.MustCompile(`^[^.*?\[][^*?\[]*\.jsonl$`)
)

// discover lists a run's files. DuckDB gets them through a link with a plain
// name: it takes the letters * ? [ in any path for a pattern.
func (db *DB) discover(ctx context.Context, i int, dir string) (runDir, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return runDir{}, fmt.Errorf("open run %s: %w", dir, err)
	}
	if info, err := os.Stat(abs); err != nil {
		return runDir{}, fmt.Errorf("open run %s: %w", dir, err)
	} else if !info.IsDir() {
		return runDir{}, fmt.Errorf("open run %s: it is a file, want the directory of a run", dir)
	}
	r := runDir{name: db.uniqueName(filepath.Base(abs)), dir: abs, link: filepath.Join(db.scratch, strconv.Itoa(i)), coded: map[string]coded{}}
	if err := errors.Join(db.readPlan(ctx, &r), db.findUnits(&r)); err != nil {
		return runDir{}, fmt.Errorf("open run %s: %w", dir, err)
	}
	if err := os.Mkdir(r.link, 0o700); err != nil {
		return runDir{}, fmt.Errorf("open run %s: %w", dir, err)
	}
	r.logs = listNames(filepath.Join(abs, "log"), func(e os.DirEntry) bool { return e.Type().IsRegular() && logFile.MatchString(e.Name()) })
	db.discoverCodes(&r)
	return r, errors.Join(os.Symlink(filepath.Join(abs, "acts"), filepath.Join(r.link, "acts")), os.Symlink(filepath.Join(abs, "log"), filepath.Join(r.link, "log")), ctx.Err())
}

func (db *DB) uniqueName(base string) string {
	name := base
	for n := 2; slices.ContainsFunc(db.runs, func(r runDir) bool { return r.name == name }); n++ {
		name = fmt.Sprintf("%s (%d)", base, n)
	}
	return name
}

// readPlan reads plan and manifest, where they are there and whole.
func (db *DB) readPlan(ctx context.Context, r *runDir) error {
	st, err := local.New(r.dir)
	if err != nil {
		return err
	}
	r.plan, err = run.ReadPlan(ctx, st)
	switch {
	case errors.Is(err, store.ErrNotFound):
		db.note("%s has no plan: tables about it are empty", r.name)
	case err != nil:
		db.note("the plan of %s is not used: %v", r.name, err)
	}
	if err != nil {
		r.plan = run.Plan{}
	}
	m, err := run.ReadManifest(ctx, st)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		db.note("the manifest of %s is not used: %v", r.name, err)
	case r.hasPlan() && m.PlanID != r.plan.ID():
		db.note("the manifest of %s is not used: it belongs to another plan", r.name)
	default:
		r.manifest = m
	}
	return nil
}

func (r runDir) hasPlan() bool { return r.plan.Format != 0 }

// findUnits takes the shards that the plan names; without a plan, all that have the name of a shard.
func (db *DB) findUnits(r *runDir) error {
	files, err := listFiles(filepath.Join(r.dir, "acts"))
	if err != nil {
		return err
	}
	if !r.hasPlan() {
		r.units, _ = unitsOf(files, shard.MaxUnits)
		return r.needUnits(nil)
	}
	for i := range files {
		files[i].Key = "acts/" + files[i].Key
	}
	if r.plan.Ring != nil {
		tombstones, err := listFiles(filepath.Join(r.dir, filepath.FromSlash(run.GonePrefix)))
		if err != nil {
			return err
		}
		for _, t := range tombstones {
			t.Key = run.GonePrefix + t.Key
			files = append(files, t)
		}
	}
	s := run.SurveyOf(r.plan, r.manifest, files)
	for u, state := range s.Units {
		switch state {
		case run.Present:
			r.units = append(r.units, u)
		case run.Damaged:
			r.damaged = append(r.damaged, u)
		case run.Deleted:
			r.gone = append(r.gone, u)
		}
	}
	if n := len(r.gone); n > 0 {
		db.note("%s is a ring: the rows of %d of its %d units are gone, which every reader has acknowledged", r.name, n, r.plan.NumUnits())
	}
	for _, line := range s.Damaged {
		db.note("%s: left out, %s", r.name, line)
	}
	db.noteStray(r.name, s.Stray)
	return r.needUnits(s.Damaged)
}

func (r runDir) needUnits(damaged []string) error {
	switch {
	case len(r.units) > 0:
		return nil
	case len(r.gone) > 0:
		return fmt.Errorf("%w: it is a ring, and every reader has acknowledged the %d units that were collected, which are deleted", ErrEmpty, len(r.gone))
	case len(damaged) > 0:
		return fmt.Errorf("%w: %d are damaged, the first: %s; run check", ErrEmpty, len(damaged), damaged[0])
	}
	return fmt.Errorf("%w: acts/ holds no unit-NNNNNN.parquet yet; run collect first", ErrEmpty)
}

// noteStray names what lies among the shards of a run and is none of them.
func (db *DB) noteStray(name string, keys []string) {
	const most = 5
	if n := len(keys); n > most {
		keys = append(slices.Clone(keys[:most]), fmt.Sprintf("%d more", n-most))
	}
	if len(keys) > 0 {
		db.note("%s: of no unit of the plan and left out: %s", name, strings.Join(keys, ", "))
	}
}

// discoverCodes links every coder's folder that holds units.
func (db *DB) discoverCodes(r *runDir) {
	dir, bound := filepath.Join(r.dir, "codes"), shard.MaxUnits
	if r.hasPlan() {
		bound = r.plan.NumUnits()
	}
	for i, coder := range listNames(dir, func(e os.DirEntry) bool { return e.IsDir() && e.Name()[0] != '.' }) {
		files, err := listFiles(filepath.Join(dir, coder))
		c := coded{link: "codes" + strconv.Itoa(i)}
		var stray []string
		c.units, stray = unitsOf(files, bound)
		db.noteStray(fmt.Sprintf("%s, codes of %q", r.name, coder), stray)
		if err == nil && len(c.units) > 0 {
			err = os.Symlink(filepath.Join(dir, coder), filepath.Join(r.link, c.link))
			r.coded[coder] = c
		}
		if err != nil {
			db.note("codes of %q: %v", coder, err)
		}
	}
}

// unitsOf parts the files of a folder into the units below a bound, ascending, and the rest.
func unitsOf(files []store.Info, bound int) (units []int, stray []string) {
	for _, f := range files {
		if m := unitFile.FindStringSubmatch(f.Key); m != nil {
			if u, _ := strconv.Atoi(m[1]); u < bound { // six digits
				units = append(units, u)
				continue
			}
		}
		stray = append(stray, f.Key)
	}
	return units, stray
}

// listFiles lists the regular files of a folder by name, those that are not hidden; a folder that does not exist has
// none. A link to a file is one: a shard may lie on another disk.
func listFiles(dir string) (files []store.Info, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(dir, e.Name()))
		if err == nil && info.Mode().IsRegular() && e.Name()[0] != '.' {
			files = append(files, store.Info{Key: e.Name(), Size: info.Size(), ModTime: info.ModTime()})
		}
	}
	return files, nil
}

// listNames returns the names of the entries that are kept, or none where the
// folder cannot be read: logs and codes are extras.
func listNames(dir string, keep func(os.DirEntry) bool) (names []string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if keep(e) {
			names = append(names, e.Name())
		}
	}
	return names
}
