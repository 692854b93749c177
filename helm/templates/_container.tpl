{{/* The container, as an item of a list. */}}
{{- define "sidestream.container" -}}
- name: sidestream
  image: {{ include "sidestream.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  {{- include "sidestream.body" . | nindent 2 }}
{{- end -}}

{{/* A native sidecar, as an item of `initContainers`: it is there before the pod's own containers, and ends after them. */}}
{{- define "sidestream.sidecar" -}}
- name: sidestream
  image: {{ include "sidestream.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  restartPolicy: Always
  {{- include "sidestream.body" . | nindent 2 }}
{{- end -}}

{{- define "sidestream.body" -}}
args: [serve, --config, /etc/sidestream/config.yaml]
{{- with .Values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  - { name: streams, containerPort: {{ include "sidestream.port" (list . "http") }}, protocol: TCP }
  - { name: ops, containerPort: {{ include "sidestream.port" (list . "ops") }}, protocol: TCP }
{{- include "sidestream.environment" . }}
{{- include "sidestream.probes" . }}
{{- include "sidestream.preStop" . }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - { name: sidestream-config, mountPath: /etc/sidestream, readOnly: true }
  {{- range $name, $_ := .Values.secretFiles }}
  - { name: sidestream-secret-{{ $name }}, mountPath: /run/secrets/{{ $name }}, readOnly: true }
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "sidestream.environment" -}}
{{- if or .Values.secretEnv .Values.env }}
env:
  {{- range $name, $ref := .Values.secretEnv }}
  - name: {{ $name | quote }}
    valueFrom: { secretKeyRef: { name: {{ $ref.secret | quote }}, key: {{ $ref.key | quote }} } }
  {{- end }}
  {{- with .Values.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- with .Values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* By HTTP on the ops port: a full bridge answers there too, and no process is started for it. */}}
{{- define "sidestream.probes" -}}
{{- range $kind, $path := dict "startup" "/livez" "liveness" "/livez" "readiness" "/readyz" }}
{{- with get $.Values.probes $kind }}
{{ $kind }}Probe:
  {{- mergeOverwrite (dict "httpGet" (dict "path" $path "port" "ops")) . | toYaml | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* No shell is needed for it: the kubelet sleeps from 1.30 on, before that Node does. */}}
{{- define "sidestream.preStop" -}}
{{- $seconds := .Values.lifecycle.preStopSleep | int -}}
{{- if $seconds }}
lifecycle:
  preStop:
    {{- if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}
    sleep: { seconds: {{ $seconds }} }
    {{- else }}
    exec: { command: [/usr/local/bin/node, -e, "setTimeout(() => {}, {{ mul $seconds 1000 }})"] }
    {{- end }}
{{- end }}
{{- end -}}

{{/* What the container mounts, as items of `volumes`. Folders, not single files: only those follow a change. */}}
{{- define "sidestream.volumes" -}}
- name: sidestream-config
  configMap: { name: {{ include "sidestream.fullname" . }} }
{{- range $name, $ref := .Values.secretFiles }}
- name: sidestream-secret-{{ $name }}
  secret:
    secretName: {{ $ref.secret | quote }}
    {{- with $ref.items }}
    items:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Annotations of a pod that has the container: new pods where the config changed. */}}
{{- define "sidestream.podAnnotations" -}}
{{- $checksum := .Values.rollOnConfigChange | ternary (dict "checksum/sidestream" (include "sidestream.checksum" .)) dict -}}
{{- with mergeOverwrite $checksum (default dict .Values.podAnnotations) -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}
