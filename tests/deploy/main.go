// Renders the Helm chart with its values and these further ones, and reads the compose file, as Helm and Docker Compose do it;
// checks that every object is one that Kubernetes' own types take, with no field that they do not know; prints all of it as JSON.
//
//	deploy chart FOLDER [VALUES.yaml]...
//	deploy compose FILE
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	told, err := run(os.Args[1:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(told)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "deploy:", err)
		os.Exit(1)
	}
}

func run(words []string) (any, error) {
	switch {
	case len(words) >= 2 && words[0] == "chart":
		return chart(words[1], words[2:])
	case len(words) == 2 && words[0] == "compose":
		return compose(words[1])
	}
	return nil, fmt.Errorf("expected chart FOLDER [VALUES]... or compose FILE, found %q", words)
}

// The objects that the chart makes, in the order of their files.
func chart(folder string, files []string) ([]any, error) {
	loaded, err := loader.Load(folder)
	if err != nil {
		return nil, err
	}
	values := chartutil.Values{}
	for _, file := range files {
		more, err := chartutil.ReadValuesFile(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		values = chartutil.CoalesceTables(more, values)
	}
	release := chartutil.ReleaseOptions{Name: "fleet", Namespace: "security", Revision: 1, IsInstall: true}
	all, err := chartutil.ToRenderValues(loaded, values, release, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	texts, err := engine.Engine{Strict: true}.Render(loaded, all)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(texts))
	for name := range texts {
		if strings.HasSuffix(name, ".yaml") {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	objects := []any{}
	for _, name := range names {
		for _, text := range strings.Split(texts[name], "\n---\n") {
			if !hasContent(text) {
				continue
			}
			object, err := read([]byte(text))
			if err != nil {
				return nil, fmt.Errorf("%s: %w in\n%s", name, err, text)
			}
			objects = append(objects, object)
		}
	}
	return objects, nil
}

func hasContent(text string) bool {
	for _, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line != "" && line != "---" && !strings.HasPrefix(line, "#") {
			return true
		}
	}
	return false
}

func read(text []byte) (any, error) {
	var head struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal(text, &head); err != nil {
		return nil, err
	}
	kinds := map[string]any{
		"v1 ServiceAccount":                &core.ServiceAccount{},
		"v1 ConfigMap":                     &core.ConfigMap{},
		"v1 Service":                       &core.Service{},
		"v1 Secret":                        &core.Secret{},
		"apps/v1 DaemonSet":                &apps.DaemonSet{},
		"apps/v1 Deployment":               &apps.Deployment{},
		"policy/v1 PodDisruptionBudget":    &policy.PodDisruptionBudget{},
		"networking.k8s.io/v1 NetworkPolicy": &networking.NetworkPolicy{},
	}
	object, known := kinds[head.APIVersion+" "+head.Kind]
	if !known {
		return nil, fmt.Errorf("no type for %s %s", head.APIVersion, head.Kind)
	}
	return object, yaml.UnmarshalStrict(text, object)
}

// The project that a compose file describes, with its defaults and interpolations.
func compose(file string) (any, error) {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithWorkingDirectory(filepath.Dir(file)))
	if err != nil {
		return nil, err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return nil, err
	}
	if _, err := project.WithServicesEnabled(); err != nil {
		return nil, err
	}
	return project, nil
}
