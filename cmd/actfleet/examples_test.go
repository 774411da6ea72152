package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// exampleFlags are the flags that a text gives to actfleet.
var exampleFlags = regexp.MustCompile(`(?:^|\s|- )--([a-z-]+)(?:[= ]|$)`)

// TestExampleFlags holds the flags of the examples against those that collect has.
func TestExampleFlags(t *testing.T) {
	command := regexp.MustCompile(`(?s)exec actfleet collect (.*?)\n}`).FindSubmatch(read(t, "../../examples/slurm/collect.sbatch"))
	if command == nil {
		t.Fatal("collect.sbatch has no command")
	}
	for name, text := range map[string]string{
		"slurm":      string(command[1]),
		"kubernetes": strings.Join(exampleJob(t).Spec.Template.Spec.Containers[0].Args, "\n"),
	} {
		found := exampleFlags.FindAllStringSubmatch(text, -1)
		if len(found) < 7 {
			t.Errorf("%s: found only the flags %q", name, found)
		}
		for _, f := range found {
			if newCollect().Flags().Lookup(f[1]) == nil {
				t.Errorf("%s: collect has no flag --%s", name, f[1])
			}
		}
	}
}

// TestExampleJob holds what of the Kubernetes example has to fit together.
func TestExampleJob(t *testing.T) {
	job := exampleJob(t)
	pod := job.Spec.Template.Spec
	c := newCollect()
	args := strings.Split(strings.ReplaceAll(strings.Join(pod.Containers[0].Args, "\n"), "$(CPUS)", "8"), "\n")
	if err := c.Flags().Parse(args); err != nil {
		t.Fatal(err)
	}
	grace, _ := c.Flags().GetDuration("grace")
	if end := time.Duration(pod.TerminationGracePeriodSeconds) * time.Second; end < grace+15*time.Second {
		t.Errorf("Kubernetes kills after %s, --grace is %s and leaving takes 15 s", end, grace)
	}
	join, _ := c.Flags().GetStringSlice("join")
	if bind, _ := c.Flags().GetString("bind"); !slices.Contains(join, bind) {
		t.Errorf("--join %s lacks the node's own address %s", join, bind)
	}
	if want := job.Metadata.Name + "-0." + pod.Subdomain + ":7946"; join[0] != want {
		t.Errorf("--join begins with %s, the pod's name is %s", join[0], want)
	}
	if job.Spec.CompletionMode != "Indexed" || job.Spec.BackoffLimitPerIndex == 0 || pod.RestartPolicy != "Never" {
		t.Errorf("not an Indexed Job with a backoff per index: %+v", job.Spec)
	}
}

// jobYAML is what the tests read of a Job.
type jobYAML struct {
	Kind     string
	Metadata struct{ Name string }
	Spec     struct {
		CompletionMode       string `yaml:"completionMode"`
		BackoffLimitPerIndex int    `yaml:"backoffLimitPerIndex"`
		Template             struct {
			Spec struct {
				Subdomain                     string
				RestartPolicy                 string `yaml:"restartPolicy"`
				TerminationGracePeriodSeconds int    `yaml:"terminationGracePeriodSeconds"`
				Containers                    []struct{ Args []string }
			}
		}
	}
}

// exampleJob is the last document of the Kubernetes example.
func exampleJob(t *testing.T) (job jobYAML) {
	t.Helper()
	documents := strings.Split(string(read(t, "../../examples/kubernetes/fleet.yaml")), "\n---\n")
	if err := yaml.Unmarshal([]byte(documents[len(documents)-1]), &job); err != nil {
		t.Fatal(err)
	}
	if job.Kind != "Job" || len(job.Spec.Template.Spec.Containers) != 1 {
		t.Fatalf("the last document is no Job of one container: %+v", job)
	}
	return job
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
