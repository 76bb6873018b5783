{{- define "spanloom.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "spanloom.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := include "spanloom.name" . }}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- $full | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "spanloom.selectorLabels" -}}
app.kubernetes.io/name: {{ include "spanloom.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "spanloom.labels" -}}
{{ include "spanloom.selectorLabels" . }}
app.kubernetes.io/component: gateway
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "spanloom.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- define "spanloom.serviceAccountName" -}}
{{- with .Values.serviceAccount }}
{{- .name | default (ternary (include "spanloom.fullname" $) "default" .create) }}
{{- end }}
{{- end }}

{{/* The one configuration. It is a symbolic link in the repository, and some ways to copy a repository lose those. */}}
{{- define "spanloom.configuration" -}}
{{- $text := .Files.Get "files/spanloom.yaml" }}
{{- if not (contains "\nservice:" $text) }}
{{- fail "files/spanloom.yaml is not the Collector's configuration: this copy of the chart lost a symbolic link. Put collector_config/spanloom.yaml in its place, or use the packaged chart" }}
{{- end }}
{{- $text }}
{{- end }}

{{/* 80 % of the memory limit, whole MiB, as Go writes it. The schema lets only Mi and Gi through. */}}
{{- define "spanloom.gomemlimit" -}}
{{- $limit := .Values.resources.limits.memory }}
{{- $mib := hasSuffix "Gi" $limit | ternary (mul (trimSuffix "Gi" $limit | atoi) 1024) (trimSuffix "Mi" $limit | atoi) }}
{{- printf "%dMiB" (div (mul $mib 80) 100) }}
{{- end }}
