# The image of docker-compose.yml: Airflow's own, with this provider's wheel in it.
#
#     docker build --tag airflow-midjourney:local --target airflow .

# A test keeps the versions of Airflow and hatchling the same as in requirements.lock.

FROM apache/airflow:3.3.2-python3.11 AS wheel
WORKDIR /tmp/source
RUN pip install --no-cache-dir hatchling==1.33.0
COPY --chown=airflow:root pyproject.toml README.md LICENSE ./
COPY --chown=airflow:root plugins plugins
COPY --chown=airflow:root dags dags
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /tmp/wheels .

FROM apache/airflow:3.3.2-python3.11 AS airflow
COPY --from=wheel /tmp/wheels /wheels
# Against the constraints that the image was built with, so that nothing in it moves.
RUN pip freeze --exclude airflow-provider-midjourney | sort > /tmp/before \
    && pip install --no-cache-dir --constraint "${HOME}/constraints.txt" "apache-airflow==${AIRFLOW_VERSION}" \
        "airflow-provider-midjourney[postgres] @ file://$(ls /wheels/*.whl)" \
    && pip freeze --exclude airflow-provider-midjourney | sort > /tmp/after \
    && moved="$(comm -23 /tmp/before /tmp/after)" \
    && if [ -n "${moved}" ]; then echo "The wheel moves pins of the image: ${moved}" >&2; exit 1; fi \
    && rm /tmp/before /tmp/after
COPY --chown=airflow:root deploy/prepare.py deploy/sample_images.py /opt/deploy/
USER airflow

# The stand-in for the service, for the profile `demo`. The wheel has it, and Airflow itself brings its web server.
FROM airflow AS simulator
RUN pip install --no-cache-dir --constraint "${HOME}/constraints.txt" numpy
CMD ["python", "-m", "airflow_midjourney.testing", "--host", "0.0.0.0", "--port", "9876"]

# Without --target, the image is Airflow's.
FROM airflow
