{{/*
The container of the Level-Zero sidecar.
  root, endpoint       where it publishes
  volume, directory    what it shares with plugins, and where that is mounted
  privileged           in the plugin's pod, which cannot ask for the GPUs that it is going to offer
*/}}
{{- define "xpu.levelZero" -}}
{{- $values := .root.Values.levelZeroSidecar -}}
- name: intel-gpu-levelzero
  image: {{ include "xpu.image" (dict "root" .root "name" "intel-gpu-levelzero") }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  args:
    - --publish={{ .endpoint }}
    - --label-sink={{ $values.labels }}
    {{- if ne $values.samplingInterval "1s" }}
    - --sampling-interval={{ $values.samplingInterval }}
    {{- end }}
    {{- if ne .root.Values.pods.logFormat "text" }}
    - --log-format={{ .root.Values.pods.logFormat }}
    {{- end }}
    {{- with $values.logLevel }}
    - -v={{ . }}
    {{- end }}
    {{- if .wsl }}
    - -wsl
    {{- end }}
    {{- with $values.args }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  env:
    {{- include "xpu.nodeName" . | nindent 4 }}
  ports:
    - {name: level-zero, containerPort: 9101}
  {{- include "xpu.probes" "level-zero" | nindent 2 }}
  securityContext:
    {{- if .privileged }}
    runAsUser: 0
    readOnlyRootFilesystem: true
    privileged: true
    {{- else }}
    runAsUser: 0
    readOnlyRootFilesystem: true
    allowPrivilegeEscalation: false
    capabilities: {drop: [ALL], add: [SYS_ADMIN]}
    seccompProfile: {type: RuntimeDefault}
    {{- end }}
  resources:
    {{- if .privileged }}
    {{- toYaml $values.resources | nindent 4 }}
    {{- else }}
    {{- toYaml (merge (dict "limits" (dict "gpu.intel.com/monitoring" 1)) $values.resources) | nindent 4 }}
    {{- end }}
  volumeMounts:
    - {name: {{ .volume }}, mountPath: {{ .directory }}}
    - {name: podresources, mountPath: /var/lib/kubelet/pod-resources, readOnly: true}
    {{- with include "xpu.labelMounts" $values.labels | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- if .wsl }}
    - {name: wsllib, mountPath: /usr/lib/wsl, readOnly: true}
    {{- end }}
    {{- with $values.volumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
