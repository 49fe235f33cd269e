{{- define "aa-redirect.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "aa-redirect.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "aa-redirect.labels" -}}
{{ include "aa-redirect.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "aa-redirect.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{ else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* The port that callers reach: Envoy's if there is a sidecar, otherwise the service's. */}}
{{- define "aa-redirect.callPort" -}}
{{- if .Values.sidecar.enabled }}8443{{ else }}50051{{ end }}
{{- end }}

{{/* The container cannot gain rights, and cannot write files. */}}
{{- define "aa-redirect.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* Checks that concern several values. */}}
{{- define "aa-redirect.check" -}}
{{- $drain := add .Values.drain.delaySeconds .Values.drain.timeoutSeconds }}
{{- if ge (int $drain) (int .Values.terminationGracePeriodSeconds) }}
{{- fail (printf "drain.delaySeconds (%d) and drain.timeoutSeconds (%d) must together be less than terminationGracePeriodSeconds (%d), or the kernel kills the process before its calls end" (int .Values.drain.delaySeconds) (int .Values.drain.timeoutSeconds) (int .Values.terminationGracePeriodSeconds)) }}
{{- end }}
{{- if and .Values.sidecar.enabled .Values.tls.secretName }}
{{- fail "set either sidecar.enabled or tls.secretName: one of the two ends the callers' TLS" }}
{{- end }}
{{- if and .Values.trustedPort (or .Values.sidecar.enabled .Values.tls.secretName) }}
{{- fail "trustedPort is for a mesh that ends TLS itself: set neither sidecar.enabled nor tls.secretName" }}
{{- end }}
{{- if and .Values.trustedPort (not .Values.callers) }}
{{- fail "trustedPort needs callers: without a callers file nobody asks who calls" }}
{{- end }}
{{- if and (or .Values.tls.clientCa.secretName .Values.tls.clientCa.configMapName) (not .Values.tls.secretName) }}
{{- fail "tls.clientCa needs tls.secretName" }}
{{- end }}
{{- if and .Values.store.passwordKey (not .Values.store.urls) }}
{{- fail "store.passwordKey needs store.urls" }}
{{- end }}
{{- if and (hasPrefix "rediss" (first (append .Values.store.urls ""))) (not .Values.store.caKey) }}
{{- fail "a store with TLS (rediss) needs store.caKey: the image has no CAs" }}
{{- end }}
{{- if and .Values.autoscaling.enabled (lt (int .Values.autoscaling.maxReplicas) (int .Values.autoscaling.minReplicas)) }}
{{- fail "autoscaling.maxReplicas must not be under autoscaling.minReplicas" }}
{{- end }}
{{- end }}
