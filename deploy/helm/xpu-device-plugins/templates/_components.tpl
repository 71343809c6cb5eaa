{{/* What runs: a list, as YAML, of each DaemonSet's name and the names and numbers of its metrics ports. */}}
{{- define "xpu.components" -}}
{{- $sidecar := .Values.levelZeroSidecar -}}
{{- range $family := list "gpu" "dsa" "iaa" "dlb" "sgx" "npu" }}
{{- if (get $.Values $family).enabled }}
- name: intel-{{ $family }}-plugin
  ports:
    - {name: metrics, port: 9100}
    {{- if and (eq $family "gpu") $sidecar.enabled (eq $sidecar.form "pod") }}
    - {name: level-zero, port: 9101}
    {{- end }}
{{- end }}
{{- end }}
{{- if .Values.nodeAgent.enabled }}
- name: xpu-node-agent
  ports:
    - {name: metrics, port: 9100}
{{- end }}
{{- if and $sidecar.enabled (eq $sidecar.form "daemonset") }}
- name: xpu-level-zero-sidecar
  ports:
    - {name: level-zero, port: 9101}
{{- end }}
{{- end }}
