{{/* Labels of an object, beside its app. */}}
{{- define "xpu.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* An image: the root, and its name. */}}
{{- define "xpu.image" -}}
{{- $image := .root.Values.image -}}
{{- $prefix := compact (list $image.registry $image.repository) | join "/" -}}
{{ $prefix }}{{ if $prefix }}/{{ end }}{{ .name }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{/* The node's name, which messages of sidecars carry. */}}
{{- define "xpu.nodeName" -}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
{{- end }}

{{/* Probes of a port that serves /healthz and /readyz. */}}
{{- define "xpu.probes" -}}
livenessProbe:
  httpGet: {path: /healthz, port: {{ . }}}
  initialDelaySeconds: 30
  periodSeconds: 30
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /readyz, port: {{ . }}}
  periodSeconds: 10
  timeoutSeconds: 5
{{- end }}

{{/* Root without capabilities and privileges. */}}
{{- define "xpu.unprivileged" -}}
runAsUser: 0
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
seLinuxOptions: {type: container_device_plugin_t}
{{- end }}

{{/* What a section and all pods choose of the node: the root, and the section's values. */}}
{{- define "xpu.placement" -}}
{{- with .root.Values.pods.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with merge (dict) (.extraSelector | default dict) .values.nodeSelector .root.Values.pods.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat .root.Values.pods.tolerations .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* A service account's token and the API server's certificate, for the one container that mounts it; a YAML list. */}}
{{- define "xpu.tokenVolume" -}}
- name: api-token
  projected:
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3607}
      - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}

{{- define "xpu.tokenMount" -}}
- {name: api-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
{{- end }}

{{/* The volumes that a sidecar's labels need, as a YAML list; what is given is where the labels go. */}}
{{- define "xpu.labelVolumes" -}}
{{- if eq . "nfd" -}}
- {name: features-d, hostPath: {path: /etc/kubernetes/node-feature-discovery/features.d, type: DirectoryOrCreate}}
{{- else if eq . "node" -}}
{{ include "xpu.tokenVolume" . }}
{{- else -}}
[]
{{- end -}}
{{- end }}

{{- define "xpu.labelMounts" -}}
{{- if eq . "nfd" }}
- {name: features-d, mountPath: /etc/kubernetes/node-feature-discovery/features.d}
{{- else if eq . "node" }}
{{ include "xpu.tokenMount" . }}
{{- end }}
{{- end }}

{{/*
Admission policies of a file, which speak of service accounts of this release.
  root, file, namespace   that the file names
*/}}
{{- define "xpu.policies" -}}
{{- range $number, $text := .root.Files.Get .file | splitList "\n---\n" }}
{{- $policy := fromYaml $text }}
{{- $_ := set $policy.metadata "labels" (include "xpu.labels" $.root | fromYaml) }}
{{- range $policy.spec.matchConditions }}
{{- $_ := set . "expression" (.expression | replace (printf ":%s:" $.namespace) (printf ":%s:" $.root.Release.Namespace)) }}
{{- end }}
{{- if $number }}
---
{{- end }}
{{ toYaml $policy }}
{{- end }}
{{- end }}
