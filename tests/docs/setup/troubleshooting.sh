export CUDA_VISIBLE_DEVICES=
echo "The patient slept well." > notes.txt
printf 'seconds,volts\n0,1\n1,2\n2,1\n' > columns.csv
python - <<'PYTHON'
from math import sin

rows = (f"{i / 64:.6f},{sin(i / 9):.4f}" for i in range(64 * 60))
with open("minute.csv", "w") as file:
    file.write("\n".join(["time,ppg", *rows]))
PYTHON
PPGSSL_API_KEY=right ppgssl api > api.log 2>&1 &
until curl --silent --fail "$PPGSSL_URL/healthz" > /dev/null; do sleep 0.5; done
