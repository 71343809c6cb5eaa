// Decodes objects of other projects' kinds with the Go types of these projects, strictly: an unknown field, a field
// given twice and a value of another type are faults. Reads a JSON array of objects; prints a line for each fault.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	nfd "sigs.k8s.io/node-feature-discovery/api/nfd/v1alpha1"
	"sigs.k8s.io/yaml"
)

func main() {
	var objects []json.RawMessage
	if err := json.NewDecoder(bufio.NewReader(os.Stdin)).Decode(&objects); err != nil {
		fmt.Fprintln(os.Stderr, "standard input:", err)
		os.Exit(2)
	}
	for _, object := range objects {
		var known metav1.PartialObjectMetadata
		if err := json.Unmarshal(object, &known); err != nil {
			fmt.Println("no object:", err)
			continue
		}
		var typed any
		switch known.APIVersion + " " + known.Kind {
		case "monitoring.coreos.com/v1 PodMonitor":
			typed = &monitoring.PodMonitor{}
		case "monitoring.coreos.com/v1 ServiceMonitor":
			typed = &monitoring.ServiceMonitor{}
		case "monitoring.coreos.com/v1 PrometheusRule":
			typed = &monitoring.PrometheusRule{}
		case "nfd.k8s-sigs.io/v1alpha1 NodeFeatureRule", "nfd.openshift.io/v1alpha1 NodeFeatureRule":
			typed = &nfd.NodeFeatureRule{}
		default:
			fmt.Printf("%s %s: unknown kind of %s\n", known.Kind, known.Name, known.APIVersion)
			continue
		}
		if err := yaml.UnmarshalStrict(object, typed); err != nil {
			fmt.Printf("%s %s: %s\n", known.Kind, known.Name, bytes.ReplaceAll([]byte(err.Error()), []byte("\n"), []byte(" ")))
		}
	}
}
