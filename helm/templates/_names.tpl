{{/* The chart's name, or nameOverride; at most 63 characters, as in a label. */}}
{{- define "sidestream.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* What its objects are called: 52 characters at most, so that "-dashboard" still fits into the 63 of a Service. */}}
{{- define "sidestream.fullname" -}}
{{- $name := printf "%s-%s" .Release.Name (include "sidestream.name" .) -}}
{{- if .Values.fullnameOverride -}}
{{- $name = .Values.fullnameOverride -}}
{{- else if contains (include "sidestream.name" .) .Release.Name -}}
{{- $name = .Release.Name -}}
{{- end -}}
{{- $name = $name | trunc 52 | trimSuffix "-" -}}
{{- /* RFC 1035: a release may be called 1st or a.b, and a Service may not. */ -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" $name) -}}
{{- fail (printf "\n\n%s is no name for a Service: it begins with a letter, and has only a-z, 0-9 and -. Set fullnameOverride.\n" $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "sidestream.labels" -}}
{{- $own := include "sidestream.ownLabels" . | fromYaml -}}
{{- $chart := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" (.Chart.AppVersion | replace "+" "_" | trunc 63)
  "app.kubernetes.io/managed-by" .Release.Service
  "app.kubernetes.io/part-of" "sidestream" -}}
{{- mergeOverwrite (dict) (default dict .Values.commonLabels) $chart $own | toYaml -}}
{{- end -}}

{{/* Labels by which the chart's own pods are known; they never change, since a Deployment's selector cannot. */}}
{{- define "sidestream.ownLabels" -}}
app.kubernetes.io/name: {{ include "sidestream.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Labels of the pods in which the container runs. */}}
{{- define "sidestream.selectorLabels" -}}
{{- if eq .Values.mode "sidecar" -}}
{{- toYaml .Values.sidecar.podLabels -}}
{{- else -}}
{{ include "sidestream.ownLabels" . }}
app.kubernetes.io/component: bridge
{{- end -}}
{{- end -}}

{{/* Whether there are pods to select. */}}
{{- define "sidestream.hasPods" -}}
{{- if or (ne .Values.mode "sidecar") .Values.sidecar.podLabels -}}true{{- end -}}
{{- end -}}

{{/* How many pods the chart asks for; empty where something else decides, which each upgrade would overrule. */}}
{{- define "sidestream.replicas" -}}
{{- if not (or .Values.autoscaling.enabled (kindIs "invalid" .Values.replicas)) -}}{{- .Values.replicas -}}{{- end -}}
{{- end -}}

{{/*
Where a Service leads, by the name of the port: a list of the root and `streams` or `ops`. A native sidecar's ports are known to
Services by name only from Kubernetes 1.32 on; by number always.
*/}}
{{- define "sidestream.targetPort" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- if eq $root.Values.mode "sidecar" -}}
{{- include "sidestream.port" (list $root (eq $name "streams" | ternary "http" "ops")) -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end -}}

{{- define "sidestream.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "sidestream.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "sidestream.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* kind, apiVersion and metadata of an object: a list of the root, kind, apiVersion, the name's suffix, labels, annotations. */}}
{{- define "sidestream.head" -}}
{{- $root := index . 0 -}}
apiVersion: {{ index . 2 }}
kind: {{ index . 1 }}
metadata:
  name: {{ include "sidestream.fullname" $root }}{{ index . 3 }}
  namespace: {{ $root.Release.Namespace | quote }}
  labels:
    {{- mergeOverwrite (include "sidestream.labels" $root | fromYaml) (index . 4) | toYaml | nindent 4 }}
  {{- with index . 5 }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
