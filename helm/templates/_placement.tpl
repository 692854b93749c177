{{/* Which nodes take a pod of the chart. */}}
{{- define "sidestream.nodes" -}}
{{- range $key := list "nodeSelector" "tolerations" }}
{{- with get $.Values $key }}
{{ dict $key . | toYaml }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Where the bridge's pods may run, and how they spread. */}}
{{- define "sidestream.placement" -}}
{{- include "sidestream.nodes" . }}
{{- range $key := list "affinity" "priorityClassName" }}
{{- with get $.Values $key }}
{{ dict $key . | toYaml }}
{{- end }}
{{- end }}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- $selector := dict "matchLabels" (include "sidestream.selectorLabels" $ | fromYaml) }}
  {{- range . }}
  {{- /* By revision, or pods of a rollout that are about to go would count. */}}
  - {{ merge (deepCopy .) (dict "labelSelector" $selector "matchLabelKeys" (list "pod-template-hash")) | toYaml | indent 4 | trim }}
  {{- end }}
{{- end }}
{{- end -}}
