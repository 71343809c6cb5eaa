{{/*
The DaemonSet of a plugin.
  root, name, values   the chart's root, the DaemonSet's name, and the section of the values
  args                 flags of this family
  mounts, volumes      of this family, as lists
  containers           further containers, as text
  serviceAccount       of the pod; which container has its token is up to its mounts
  initContainers       as text
*/}}
{{- define "xpu.plugin" -}}
{{- $pods := .root.Values.pods -}}
{{- $account := .serviceAccount | default ($pods.events | ternary "xpu-device-plugin" "") -}}
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    app: {{ .name }}
    {{- include "xpu.labels" .root | nindent 4 }}
spec:
  selector:
    matchLabels:
      app: {{ .name }}
  updateStrategy:
    type: RollingUpdate
    rollingUpdate: {{ if $pods.surge }}{maxSurge: 1, maxUnavailable: 0}{{ else }}{maxSurge: 0, maxUnavailable: 1}{{ end }}
  template:
    metadata:
      labels:
        app: {{ .name }}
      {{- with merge (dict) (.annotations | default dict) $pods.annotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      automountServiceAccountToken: false
      {{- with $account }}
      serviceAccountName: {{ . }}
      {{- end }}
      {{- include "xpu.placement" . | trim | nindent 6 }}
      {{- with .initContainers }}
      initContainers:
        {{- . | trim | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .name }}
          image: {{ include "xpu.image" (dict "root" .root "name" .name) }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args:
            - --metrics-address=:9100
            {{- with .args }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
            {{- if ne $pods.logFormat "text" }}
            - --log-format={{ $pods.logFormat }}
            {{- end }}
            {{- with .values.logLevel }}
            - -v={{ . }}
            {{- end }}
            {{- if $pods.events }}
            - --events
            {{- end }}
            {{- if $pods.surge }}
            - --instance=$(POD_UID)
            {{- end }}
            {{- with .values.args }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          env:
            {{- include "xpu.nodeName" . | nindent 12 }}
            {{- if $pods.surge }}
            - name: POD_UID
              valueFrom: {fieldRef: {fieldPath: metadata.uid}}
            {{- end }}
          ports:
            - {name: metrics, containerPort: 9100}
          {{- include "xpu.probes" "metrics" | nindent 10 }}
          terminationMessagePath: /tmp/termination-log
          securityContext:
            {{- include "xpu.unprivileged" . | nindent 12 }}
          resources:
            {{- toYaml .values.resources | nindent 12 }}
          volumeMounts:
            - {name: devfs, mountPath: /dev, readOnly: true, recursiveReadOnly: IfPossible}
            - {name: kubeletsockets, mountPath: /var/lib/kubelet/device-plugins}
            - {name: podresources, mountPath: /var/lib/kubelet/pod-resources, readOnly: true}
            {{- if $pods.events }}
            {{- include "xpu.tokenMount" . | nindent 12 }}
            {{- end }}
            {{- with concat (.mounts | default list) .values.volumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
        {{- with .containers }}
        {{- . | trim | nindent 8 }}
        {{- end }}
      volumes:
        - {name: devfs, hostPath: {path: /dev, type: Directory}}
        - {name: kubeletsockets, hostPath: {path: {{ $pods.kubeletDir }}/device-plugins, type: Directory}}
        - {name: podresources, hostPath: {path: {{ $pods.kubeletDir }}/pod-resources, type: DirectoryOrCreate}}
        {{- if $pods.events }}
        {{- include "xpu.tokenVolume" . | nindent 8 }}
        {{- end }}
        {{- with concat (.volumes | default list) .values.volumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end }}

{{/* The volume of CDI files. */}}
{{- define "xpu.cdiVolume" -}}
{name: cdipath, hostPath: {path: {{ .Values.pods.cdiDir }}, type: DirectoryOrCreate}}
{{- end }}
