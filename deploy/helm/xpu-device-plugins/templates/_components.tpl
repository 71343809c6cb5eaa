{{/* What runs: a list, as YAML, of each DaemonSet's name, whether it asks the API server, and its metrics ports. */}}
{{- define "xpu.components" -}}
{{- $sidecar := .Values.levelZeroSidecar -}}
{{- $labels := and $sidecar.enabled (eq $sidecar.labels "node") -}}
{{- range $family := list "gpu" "dsa" "iaa" "dlb" "sgx" "npu" }}
{{- if (get $.Values $family).enabled }}
- name: intel-{{ $family }}-plugin
  api: {{ and (eq $family "gpu") $labels (eq $sidecar.form "pod") }}
  ports:
    - {name: metrics, port: 9100}
    {{- if and (eq $family "gpu") $sidecar.enabled (eq $sidecar.form "pod") }}
    - {name: level-zero, port: 9101}
    {{- end }}
{{- end }}
{{- end }}
{{- if .Values.nodeAgent.enabled }}
- name: xpu-node-agent
  api: false
  ports:
    - {name: metrics, port: 9100}
{{- end }}
{{- if and $sidecar.enabled (eq $sidecar.form "daemonset") }}
- name: xpu-level-zero-sidecar
  api: {{ $labels }}
  ports:
    - {name: level-zero, port: 9101}
{{- end }}
{{- end }}
