{{/* The container that configures a family's devices before the plugin starts; nothing where that is off. */}}
{{- define "xpu.provisioning" -}}
{{- $provisioning := .root.Values.provisioning -}}
{{- $names := dict "dsa" "intel-idxd-config-initcontainer" "iaa" "intel-iaa-initcontainer" "dlb" "intel-dlb-initcontainer" -}}
{{- $images := dict "dsa" "intel-idxd-config-initcontainer" "iaa" "intel-idxd-config-initcontainer" "dlb" "intel-dlb-initcontainer" -}}
{{- if $provisioning.enabled -}}
{{- $values := get $provisioning .family -}}
{{- $args := $values.args | default list -}}
{{- if ne $provisioning.onBusy "keep" }}{{ $args = append $args (printf "--on-busy=%s" $provisioning.onBusy) }}{{ end -}}
- name: {{ get $names .family }}
  image: {{ include "xpu.image" (dict "root" .root "name" (get $images .family)) }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  {{- with $args }}
  args:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  env:
    {{- include "xpu.nodeName" . | nindent 4 }}
    {{- if ne .family "dlb" }}
    - {name: DEVICE_TYPE, value: {{ .family }}}
    {{- end }}
    {{- if and (eq .family "dsa") (ne .root.Values.dsa.driver "idxd") }}
    - {name: DSA_DRIVER, value: {{ .root.Values.dsa.driver }}}
    {{- end }}
  terminationMessagePath: /tmp/termination-log
  securityContext:
    runAsUser: 0
    readOnlyRootFilesystem: true
    allowPrivilegeEscalation: false
    capabilities: {drop: [ALL]}
    seccompProfile: {type: RuntimeDefault}
    appArmorProfile: {type: Unconfined}
    seLinuxOptions: {type: container_device_plugin_init_t}
  resources:
    {{- toYaml $provisioning.resources | nindent 4 }}
  volumeMounts:
    - {name: sys-bus, mountPath: /sys/bus}
    - {name: sys-devices, mountPath: /sys/devices}
    - {name: devfs, mountPath: /dev, readOnly: true, recursiveReadOnly: IfPossible}
    - {name: run-xpu, mountPath: /run/xpu}
    {{- if eq .family "dlb" }}
    - {name: podresources, mountPath: /var/lib/kubelet/pod-resources, readOnly: true}
    {{- else if $values.config }}
    - {name: intel-{{ .family }}-config-volume, mountPath: /idxd-init/conf, readOnly: true}
    {{- end }}
{{- end -}}
{{- end }}

{{/* Its volumes, as a YAML list. */}}
{{- define "xpu.provisioningVolumes" -}}
{{- if .root.Values.provisioning.enabled -}}
- {name: sys-bus, hostPath: {path: /sys/bus, type: Directory}}
- {name: sys-devices, hostPath: {path: /sys/devices, type: Directory}}
- {name: run-xpu, hostPath: {path: /run/xpu, type: DirectoryOrCreate}}
{{- if (get .root.Values.provisioning .family).config }}
- {name: intel-{{ .family }}-config-volume, configMap: {name: intel-{{ .family }}-config}}
{{- end }}
{{- else -}}
[]
{{- end -}}
{{- end }}
