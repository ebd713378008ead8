{{/* A PostgreSQL for a trial. */}}
{{- define "tmf-component.demo-database" -}}
{{- if .Values.demoDatabase.enabled }}
{{- $name := printf "%s-database" (include "tmf-component.name" .) -}}
{{- $demo := .Values.demoDatabase -}}
{{- if not $demo.existingSecret }}
{{- $kept := (lookup "v1" "Secret" .Release.Namespace $name).data | default dict -}}
apiVersion: v1
kind: Secret
metadata:
  {{- include "tmf-component.metadata" (dict "root" . "name" $name) | nindent 2 }}
type: Opaque
data:
  password: {{ $kept.password | default (randAlphaNum 24 | b64enc) }}
---
{{- end }}
apiVersion: v1
kind: Service
metadata:
  {{- include "tmf-component.metadata" (dict "root" . "name" $name) | nindent 2 }}
spec:
  type: ClusterIP
  clusterIP: None
  selector:
    {{- include "tmf-component.selector" . | nindent 4 }}
    app.kubernetes.io/component: database
  ports:
    - name: tcp-postgresql
      port: 5432
      targetPort: tcp-postgresql
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  {{- include "tmf-component.metadata" (dict "root" . "name" $name) | nindent 2 }}
spec:
  serviceName: {{ $name }}
  replicas: 1
  selector:
    matchLabels:
      {{- include "tmf-component.selector" . | nindent 6 }}
      app.kubernetes.io/component: database
  template:
    metadata:
      labels:
        {{- include "tmf-component.labels" . | nindent 8 }}
        app.kubernetes.io/component: database
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 60
      {{- include "tmf-component.pull-secrets" . | nindent 6 }}
      securityContext:
        fsGroup: {{ $demo.uid }}
        seccompProfile:
          type: RuntimeDefault
      containers:
        - name: postgresql
          image: {{ include "tmf-component.image" (dict "root" . "image" $demo.image) }}
          imagePullPolicy: IfNotPresent
          env:
            - name: POSTGRES_USER
              value: component
            - name: POSTGRES_DB
              value: component
            - name: POSTGRES_PASSWORD
              valueFrom:
                secretKeyRef:
                  name: {{ $demo.existingSecret | default $name }}
                  key: password
            - name: PGDATA
              value: /var/lib/postgresql/data/pgdata
          ports:
            - name: tcp-postgresql
              containerPort: 5432
          startupProbe:
            exec:
              command: [pg_isready, --quiet, --host=127.0.0.1, --username=component]
            periodSeconds: 2
            failureThreshold: 60
            timeoutSeconds: 4
          readinessProbe:
            exec:
              command: [pg_isready, --quiet, --host=127.0.0.1, --username=component]
            periodSeconds: 5
            timeoutSeconds: 4
          livenessProbe:
            exec:
              command: [pg_isready, --quiet, --host=127.0.0.1, --username=component]
            periodSeconds: 20
            failureThreshold: 6
            timeoutSeconds: 10
          securityContext:
            runAsNonRoot: true
            runAsUser: {{ $demo.uid }}
            runAsGroup: {{ $demo.uid }}
            readOnlyRootFilesystem: true
            allowPrivilegeEscalation: false
            capabilities:
              drop: [ALL]
            seccompProfile:
              type: RuntimeDefault
          resources:
            {{- toYaml $demo.resources | nindent 12 }}
          volumeMounts:
            - {name: data, mountPath: /var/lib/postgresql/data}
            - {name: run, mountPath: /var/run/postgresql}
            - {name: tmp, mountPath: /tmp}
      volumes:
        - name: run
          emptyDir: {}
        - name: tmp
          emptyDir: {}
        {{- if not $demo.persistence }}
        - name: data
          emptyDir: {}
        {{- end }}
  {{- if $demo.persistence }}
  volumeClaimTemplates:
    - metadata:
        name: data
        labels:
          {{- include "tmf-component.selector" . | nindent 10 }}
          oda.tmforum.org/componentName: {{ include "tmf-component.name" . }}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with $demo.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ $demo.size }}
  {{- end }}
{{- end }}
{{- end }}
