ppgssl simulate --out data/recordings-of-may --subjects 10 --minutes 1
ppgssl prepare data/recordings-of-may --out data/my-recordings --window-seconds 10
cp -r data/my-recordings data/labelled
cp -r data/recordings-of-may recordings
python "$TESTS/made_files.py" csv
cp recordings/p01.csv new.csv
python -c 'import numpy as np; np.sin(np.arange(75_000) / 17).astype("<f4").tofile("window.f32")'

ppgssl api > api.log 2>&1 &
ppgssl worker > worker.log 2>&1 &
until curl --silent --fail "$PPGSSL_URL/readyz" > /dev/null; do sleep 0.5; done
