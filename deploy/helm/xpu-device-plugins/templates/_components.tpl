{{/* What runs: a list, as YAML, of each DaemonSet's name, whether it asks the API server, and its metrics ports. */}}
{{- define "xpu.components" -}}
{{- $sidecar := .Values.levelZeroSidecar -}}
{{- $labels := and $sidecar.enabled (eq $sidecar.labels "node") -}}
{{- range $family := list "gpu" "dsa" "iaa" "dlb" "sgx" "npu" }}
{{- if (get $.Values $family).enabled }}
- name: intel-{{ $family }}-plugin
  api: {{ or $.Values.pods.events (and (eq $family "gpu") $labels (eq $sidecar.form "pod")) }}
  ports:
    - {name: metrics, port: 9100}
    {{- if and (eq $family "gpu") $sidecar.enabled (eq $sidecar.form "pod") }}
    - {name: level-zero, port: 9101}
    {{- end }}
{{- end }}
{{- end }}
{{- if .Values.nodeAgent.enabled }}
- name: xpu-node-agent
  api: {{ .Values.pods.events }}
  ports:
    - {name: metrics, port: 9100}
{{- end }}
{{- if and $sidecar.enabled (eq $sidecar.form "daemonset") }}
- name: xpu-level-zero-sidecar
  api: {{ $labels }}
  ports:
    - {name: level-zero, port: 9101}
{{- end }}
{{- with .Values.xelinkSidecar }}
{{- if .enabled }}
- name: xpu-xelink-sidecar
  api: {{ eq .labels "node" }}
  anywhere: {{ eq .source "xpum" }}  # XPU Manager may be at any address
  ports:
    - {name: xelink, port: 9102}
{{- end }}
{{- end }}
{{- if and .Values.provisioning.enabled .Values.provisioning.sgxEpc }}
- name: sgx-node-init
  api: true
  ports: []
{{- end }}
{{- end }}
